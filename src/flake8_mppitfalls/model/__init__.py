"""The model: what one file does with processes, in the field's own words.

``api.py`` is the table of the process APIs, ``values.py`` the words for what an expression may be,
``program.py`` the face that rules see. Behind it stand the analyses, a room each:

- ``evaluation``: what an expression may be, and what becomes of a value;
- ``execution``: what runs where, when, and on which side;
- ``pickling``: what can go to another process, and what stops it;
- ``lives``: what happens to each pool, executor and process, and to the results of tasks;
- ``numbers``: worker counts and other numbers, as intervals;
- ``sharing``: what several processes use at the same time;
- ``channels``: queues and pipes;
- ``calling``: whether a worker API call has the right shape.
"""
