package harbour.model;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/** The book of the harbour: overloads, initialisers, and bodies full of things that are no symbols. */
public abstract class Ledger<T extends Cargo, K> implements Serializable {
    private static final long serialVersionUID = 1L;
    protected transient volatile int pages, lines[], cells[][] = {{1}, {2, 3}};
    static final Map<String, List<? extends Comparator<? super Cargo>>> ORDERS;
    final Supplier<Supplier<String>> title = () -> () -> { class Hidden { int x; } return "}"; };
    final BiFunction<Integer, Integer, Integer> sum = (Integer a, Integer b) -> a < b ? a : b, product = (a, b) -> a * b;
    Runnable task = new Runnable() {
        int runs;

        @Override
        public void run() {
            runs++;
        }
    };
    char brace = '{', quote = '"', tick = '\'', escaped = '\u007d';

    static {
        int inStaticBlock = 0;
        ORDERS = Map.of();
    }

    {
        pages = 1;
    }

    protected Ledger() {}

    <X extends Exception> Ledger(T first, X unused) throws X, IllegalStateException {
        if (first == null) throw unused;
    }

    void add(T cargo) {}

    void add(T cargo, int times) {}

    final synchronized <C extends T> boolean add(List<? extends C> cargo, K... keys) { return false; }

    abstract T find(K key) throws IllegalArgumentException;

    native long hash();

    int sizes(int column)[] {
        return lines;
    }

    void receive(Ledger<T, K> this, final @Inspected("parameter") T cargo) {}

    /** Named like its class, and yet a method. */
    void Ledger() {}

    strictfp double price(Cargo cargo) {
        enum Local { ONE, TWO }
        interface Tariff { double of(Cargo c); }
        Tariff tariff = c -> switch (c.weight() / 1000) {
            case 0, 1 -> 1.5;
            case 2 -> {
                double result = 0;
                for (var local : Local.values()) { result += local.ordinal(); }
                yield result;
            }
            default -> throw new IllegalStateException();
        };
        return cargo instanceof Container<?> box && box.size().length > 2 ? 0 : tariff.of(cargo);
    }

    String print() {
        return """
            class NotHere { void nope() {} }
            an escaped \""" and a brace }
            """ + "// no comment" + '/' + '*';
    }

    public static class Entry<E> implements Comparable<Entry<E>> {
        E value;
        int order;

        Entry(E value) {
            this.value = value;
        }

        @Override
        public int compareTo(Entry<E> other) {
            return order - other.order;
        }

        class Note {
            String text;

            class Reply extends Note {
                List<Map.Entry<String, int[]>> lines() { return new ArrayList<>() { int inAnonymous; }; }
            }
        }
    };

    protected static @interface Audited {}
    private interface Closing { void close(); }
}
