import harbour.model.Inspected;
import harbour.yard.Crane;

/* The annotation and the words in front are part of the declaration. */
@Inspected(value = "module {}", level = 2)
open module harbour . yard {
    requires transitive harbour.model;
    exports harbour.yard;
    uses Crane;
    provides Crane with harbour.yard.build.Plan;
}
