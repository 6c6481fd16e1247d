package harbour.yard;

/** Lines that end with carriage return and line feed. */
public interface Signal {
    String TEXT = """
        two "lines"
        """; int AFTER = 1;

    // a comment
    void hoist();

    enum Flag {
        ALFA,
        BRAVO { void x() {} };
        int colour;
    }
}
