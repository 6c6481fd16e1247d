package harbour.yard.build;

import harbour.model.Berth;
import harbour.model.target.Target;
import harbour.yard.Crane;

/** In a package called build. */
public final class Plan extends Crane {
    private final Target[] targets;

    public Plan(Target... targets) {
        this.targets = targets.clone();
    }

    public Plan() {
        this(new Target("quay"));
    }

    @Override
    protected int reach(Berth berth) {
        return switch (berth) {
            case NORTH, SOUTH -> 30;
            case INNER -> targets.length;
        };
    }
}
