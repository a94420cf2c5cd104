"""Measurements. None is a test: what a machine needs today proves nothing about tomorrow's."""
