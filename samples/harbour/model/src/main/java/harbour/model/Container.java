package harbour.model;

import java.util.Map;
import java.util.Objects;

/**
 * A box of steel.
 *
 * @param number what is painted on it
 */
@Inspected("record")
public record Container<@Inspected("type parameter") K extends Comparable<K>>(
        @Inspected(value = "number", level = 3) String number,
        Map<K, ? super Integer> contents,
        /* in metres */ int @Inspected("dimensions") [] size,
        Seal... seals) implements Cargo {

    private static int counted;

    static final Container<String> EMPTY = new Container<String>("0", Map.<String, Object>of(), new int[] {1, 2});

    public Container {
        Objects.requireNonNull(number, "a { without its }");
        counted++;
    }

    Container(String number) {
        this(number, Map.of(), new int[0]);
    }

    public Map<K, ? super Integer> contents() {
        return Map.copyOf(contents);
    }

    public int weight() {
        return 2200 + contents.size();
    }

    static int counted() {
        return counted;
    }

    /** Empty parentheses, empty body. */
    record Nothing() {}

    public enum Seal { BOLT, WIRE, }

    record Pair<A, B>(A first, B second) {
        Pair(A first, B second) {
            this.first = first;
            this.second = second;
        }

        Pair<B, A> swapped() {
            return new Pair<>(second, first);
        }
    }
}
