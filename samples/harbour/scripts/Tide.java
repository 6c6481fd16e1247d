import java.util.stream.IntStream;

/** In no package and no source root: java scripts/Tide.java runs it. */
public class Tide {
    static double height(int hour) {
        return 2 + 1.5 * Math.sin(hour * Math.PI / 6);
    }

    public static void main(String[] args) {
        IntStream.range(0, 24).forEach(hour -> System.out.printf("%2d %.1f%n", hour, height(hour)));
    }
}
