#!/usr/bin/env python3
"""Modules whose results a model in Python knows, as scripts for the runner of the official suite: made.py FOLDER COUNT SEED

FOLDER/NAME becomes a script for each NAME of GENERATORS, with COUNT modules (or pairs of them, the second of which imports from the first)."""
import json
import os
import random
import sys

import made_memories
import made_tail_calls
import made_wide

GENERATORS = {"memories": made_memories.make, "tail_calls": made_tail_calls.make, "wide": made_wide.make}


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    for kind, make in GENERATORS.items():
        os.makedirs(f"{folder}/{kind}", exist_ok=True)
        commands = []
        for number in range(count):
            modules, calls = make(random.Random(f"{kind} {seed} {number}"), number)
            for as_name, data in modules:
                filename = f"{number}{as_name or ''}.wasm"
                with open(f"{folder}/{kind}/{filename}", "wb") as file:
                    file.write(data)
                commands.append({"type": "module", "line": number, "filename": filename})
                if as_name:
                    commands[-1]["name"] = "$" + as_name
                if as_name == "b":
                    commands.append({"type": "register", "line": number, "name": "$" + as_name, "as": as_name})
            commands += calls
        with open(f"{folder}/{kind}/{kind}.json", "w", encoding="utf-8") as file:
            json.dump({"commands": commands}, file)
        print(f"{kind}: {count} modules, {len(commands)} commands")


main()
