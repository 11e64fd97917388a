mod macros {
    mod ui;
}
