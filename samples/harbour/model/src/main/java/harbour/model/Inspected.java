package harbour.model;

import java.lang.annotation.ElementType;
import java.lang.annotation.Repeatable;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Somebody looked at it. */
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.FIELD, ElementType.PACKAGE, ElementType.METHOD, ElementType.MODULE,
    ElementType.TYPE_PARAMETER, ElementType.TYPE_USE, ElementType.RECORD_COMPONENT, ElementType.PARAMETER})
@Repeatable(Inspected.Many.class)
public @interface Inspected {
    int LOWEST = 1;

    String value();

    int level() default LOWEST;

    Mark[] marks() default {@Mark("{"), @Mark(value = "}", by = Class.class)};

    Stage stage() default Stage.ARRIVAL;

    @interface Mark {
        String value() default "";

        Class<?> by() default Object.class;
    }

    enum Stage { ARRIVAL, DEPARTURE }

    @Retention(RetentionPolicy.RUNTIME)
    @Target({ElementType.TYPE, ElementType.FIELD, ElementType.PACKAGE, ElementType.METHOD, ElementType.MODULE,
        ElementType.TYPE_PARAMETER, ElementType.TYPE_USE, ElementType.RECORD_COMPONENT, ElementType.PARAMETER})
    @ /* the at sign stands alone */ interface Many {
        Inspected[] value();
    }
}
