"""Turns the answers of commands into text, JSON and Markdown. Values go in, text comes out; nothing is decided here."""
