"""Calling: does a worker API call have the right shape?"""
