package harbour.model;

import java.util.function.IntUnaryOperator;

/** Where a ship lies. */
public enum Berth implements IntUnaryOperator {
    NORTH(12) {
        private int tide;

        @Override
        public int applyAsInt(int draught) {
            class Gauge {
                int read() {
                    return tide;
                }
            }
            return draught + new Gauge().read();
        }
    },
    @Deprecated
    SOUTH,
    /** Behind the lock. */
    @Inspected(value = "constant", marks = @Inspected.Mark(")")) INNER(depth(3, 4)) {
        enum Gate { OPEN, SHUT }
    };

    static final int COUNT = values().length;
    private final int depth;

    Berth() {
        this(8);
    }

    private Berth(int depth) {
        this.depth = depth;
    }

    static int depth(int... soundings) {
        return soundings.length == 0 ? 0 : soundings[0];
    }

    @Override public int applyAsInt(int draught) { return depth - draught; }

    interface Visitor<R> {
        R visit(Berth berth);
    }

    /** No constants at all. */
    enum Closed {
        ;
        static String why;
    }
}
