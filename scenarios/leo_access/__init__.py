"""LEO access: what a terminal measures over its satellite link, beside what others measured over theirs."""
