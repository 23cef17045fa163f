"""Figures as geometry: where things stand, in percent of a size that only a screen knows.

A template draws them. Nothing here knows of colours or fonts.
"""
