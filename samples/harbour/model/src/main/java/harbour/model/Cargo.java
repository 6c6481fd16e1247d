package harbour.model;

import java.util.List;

/** Anything that a ship carries. */
public sealed interface Cargo permits Container, Cargo.Bulk, Cargo.Passenger {
    int HEAVIEST = 48_000, LIGHTEST = 1;

    String[] FLAGS[] = {{"{", "}"}, {"\"", "\\"}};

    int weight();

    default boolean fits(int limit) {
        return this instanceof Bulk bulk && bulk.tonnes() > 0 ? weight() <= limit : checked(limit);
    }

    static <C extends Cargo & Comparable<? super C>> C heaviest(List<? extends C> all) {
        record Best<T>(T cargo) {}
        return new Best<>(all.stream().max((a, b) -> a.compareTo(b)).orElseThrow()).cargo();
    }

    private boolean checked(int limit) {
        return limit >= LIGHTEST;
    }

    record Bulk(String kind, int tonnes) implements Cargo {
        @Override
        public int weight() {
            return tonnes * 1000;
        }
    }

    non-sealed interface Passenger extends Cargo {
        String name();

        final class Crew implements Passenger {
            @Override
            public String name() {
                return "crew";
            }

            public int weight() { return 80; }
        }
    }
}
