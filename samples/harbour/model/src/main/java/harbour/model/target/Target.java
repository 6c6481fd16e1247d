package harbour.model.target;

/** A package may well be called target; only beside a build file is that name build output. */
public class Target {
    public static final String NAME = "target";

    private final String target;

    public Target(String target) {
        this.target = target;
    }

    public String target() {
        return target;
    }
}

/** A second class of the same file. */
class Mark {
    Target at;
}

interface Aim { Target aim(); }
