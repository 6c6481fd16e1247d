/** What is shipped, and where it lies. The word module in a comment is no module. */
module harbour.model {
    exports harbour.model;
    exports harbour.model.target to harbour.yard;
}
