"""The hand-written stories, one module per group, and the tables that loops make of them."""
