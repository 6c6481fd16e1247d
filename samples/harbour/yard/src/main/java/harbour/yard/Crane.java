package harbour.yard;

import static harbour.model.Cargo.HEAVIEST;

import harbour.model.Berth;
import harbour.model.Cargo;
import harbour.model.Container;
import java.util.Optional;

/** Lifts things. */
public abstract class Crane {
    protected int limit = HEAVIEST;

    private Optional<Cargo> hook = Optional.empty();

    protected abstract int reach(Berth berth);

    public final boolean lift(Cargo cargo) {
        outer:
        for (int attempt = 0; attempt < 3; attempt++) {
            if (!(cargo instanceof Container<?> box)) continue outer;
            if (box.weight() > limit) break;
            hook = Optional.of(box);
        }
        return hook.isPresent();
    }

    public String describe(Cargo cargo) {
        if (cargo instanceof Cargo.Bulk bulk && bulk.tonnes() > 10) {
            return bulk.kind();
        } else if (cargo instanceof Cargo.Passenger passenger) {
            return passenger.name();
        }
        return switch (cargo.weight()) {
            case 0 -> "nothing";
            case 1, 2 -> { int yield = 3; yield "light" + yield; }
            default -> new Object() {
                @Override
                public String toString() {
                    return "heavy";
                }
            }.toString();
        };
    }

    sealed interface Move {
        record Hoist(double metres) implements Move {
            static final Hoist NONE = new Hoist(0);

            public Hoist {
                if (metres < 0) throw new IllegalArgumentException();
            }
        }

        record Swing(int degrees) implements Move {}

        final class Stop implements Move {
            private Stop() {}

            static Stop now() { return new Stop(); }
        }
    }

    protected static class Broken extends RuntimeException {
        final Move last;

        Broken(Move last) {
            super("during " + last);
            this.last = last;
        }
    }
}
