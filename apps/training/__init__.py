"""Training and evaluation: a file of labelled transactions in; an artifact, or its measured quality, out.

Owns reading the data, simulated rows, fitting, calibration, metrics and the export, and the commands that run them.
Hands on nothing but files. Never imported by a serving process (it needs pandas, scikit-learn and xgboost); of the
house it knows the engine alone.
"""
