package harbour.yard;

import java.util.List;

/** Words that are keywords only in some places. */
class Contextual {
    int record, sealed, permits, var, module, open, to, with, requires, exports, transitive, when;

    String record(int record) { return "" + record; }

    Contextual sealed() { return this; }

    List<Contextual> permits(List<Contextual> permits) {
        var var = permits;
        int yield = 1;
        return var;
    }

    void yield() { this.yield(); }

    boolean module(boolean open) { return record < sealed && permits > var; }

    static Contextual of() { return new Contextual().sealed(); }

    record record2(record3 record) {}

    record record3() {}

    sealed static class Open permits Shut {}

    non-sealed static class Shut extends Open {}
}
