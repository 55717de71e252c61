"""The tests of skgen: laws over a catalogue of estimators, and facts about each module."""
