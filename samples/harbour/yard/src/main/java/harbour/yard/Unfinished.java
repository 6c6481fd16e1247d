package harbour.yard;

import java.util.

/**
 * Does not compile, on purpose: somebody is typing in it. It lies among the other sources because that is
 * where such files are found. Its symbols can still be read; the project compiles without it.
 */
public class Unfinished {
    private int moored;

    public Unfinished(int moored) {
        this.moored = moored;
    }

    int count(String name) {
        return name.
    }

    private static

    public int later() {
        if (moored > (3 * later( {
            return 1;
        }
        String text = "no end of this;
        return new int[ ;
    }

    @Overr
    void moor(Unresolved<String> line) { int x = ; }

    static final class Draft {
        String title = ;

        void publish() {
            switch (title) { case }
        }
    }

    enum State {
        OPEN, CLOSED(
