package harbour.yard;

import harbour.model.Cargo;
import harbour.yard.build.Plan;

/** Runs without any framework. */
class CraneTest {
    private final Crane crane = new Plan();

    <T extends Cargo> CraneTest() {}

    void liftsNothingThatIsNoContainer() {
        if (crane.lift(new Cargo.Bulk("sand", 1))) {
            throw new AssertionError();
        }
    }

    public static void main(String... args) {
        new CraneTest().liftsNothingThatIsNoContainer();
    }
}
