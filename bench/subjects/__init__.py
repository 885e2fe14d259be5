"""One file a subject. Each has NAME (for --only), TITLE, METHOD (words for the page) and measure(bench), which gives rows."""
