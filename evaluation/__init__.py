"""The question sets and the one program that scores search, answers, declining, situations and speed."""
