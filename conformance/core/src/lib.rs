//! Only a test: the whole suite with Nova's core in process. It is a package of its own because everything that a package's
//! tests need is built for each of them, and this one is built again for each planted bug and each mutant.
