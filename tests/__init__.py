"""The tests of refire-async: units by room, and scenarios that judge the program from outside."""
