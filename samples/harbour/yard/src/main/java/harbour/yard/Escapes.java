package harbour.yard;

/** Unicode escapes, which are read before anything else. */
class Escapes {
    int \u0041nchor = 1, plain\u0065r = 2, after;

    String \uuu00e9t\u00e9() { return "\u0022 + "" + "\\u0022 is no escape"; }

    char slash = '\\', escaped\u005fbackslash = '\u005c\u005c';

    // An escaped end of line ends the comment: \u000a int fromComment;

    class \u0042uoy { \u0042uoy() {} }

    /* \u007d is a brace, and here only text */ long \ud835\udc99 = 3L, last;
}
