"""What continuous integration reads of runs: JUnit XML (`junit`) and Markdown (`markdown`) of what ended (`ended`)."""
