"""Decisions of on-call: pure, the time passed in.

turns: whose turn it is in one layer. duty: who is on duty at an instant. forecast: shifts, gaps and overlaps.
fairness: what a schedule asks of each person. reach: how a person is reached.
"""
