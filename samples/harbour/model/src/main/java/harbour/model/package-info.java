/**
 * Cargo and berths. A package is no symbol, so this file has none:
 * {@code class NotHere {}} is a comment.
 */
@Inspected(value = "package", marks = {@Inspected.Mark("}"), @Inspected.Mark("{")})
package harbour.model;
