"""Results: kept as JSON, told as tables on the terminal and as docs/performance.md."""
import datetime
import json
import os

# What the baseline tier is wanted to reach: description, how to find the figure in the results, limit.
WANTED = [
    ("programs, geometric mean of time / native", lambda r: r["cpu"]["means"]["tessera"] if r["cpu"]["complete"]
     else None, "at most", 1.8),
    ("simd_* programs, the same", lambda r: r["cpu"]["vector_means"]["tessera"] if r["cpu"]["complete"]
     else None, "at most", 1.5),
    ("compilation, MB of code per second", lambda r: min(module["engines"]["tessera"]["megabytes_per_second"]
                                                         for module in r["compile"]["modules"].values()), "at least", 45),
    ("hello on Linux, ms", lambda r: r["startup"]["engines"]["tessera"]["wall_us"] / 1000, "at most", 1.5),
    ("hello on Linux, MB at the peak", lambda r: r["startup"]["engines"]["tessera"]["peak_kib"] / 1024, "at most", 4),
    ("kernel image, MB", lambda r: r["machine"]["kernel_bytes"] / 1e6, "at most", 1),
    ("millions of instructions to a 1 KB module",
     lambda r: r["machine"]["instructions"]["1 KB module"] / 1e6, "at most", 3),
    ("millions of instructions to a clang-built hello",
     lambda r: r["machine"]["instructions"]["clang-built hello"] / 1e6, "at most", 30),
]


def processor_name():
    with open("/proc/cpuinfo") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def table(header, rows):
    """A table in Markdown with aligned columns; the first column is text, the others are figures."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row):
        return "| " + " | ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                                 for column, (cell, width) in enumerate(zip(row, widths))) + " |"

    rule = "|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"
                          for column, width in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def figure(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def speed(value):
    return figure(value, 1 if value >= 1 else 3)


class Results:
    def __init__(self, path, options, found, missing):
        self.path, self.labels = path, {engine.key: engine.label for engine in found}
        self.data = {
            "date": datetime.date.today().isoformat(), "processor": processor_name(), "cores": os.cpu_count(),
            "quick": options.quick, "engines": {engine.key: engine.version for engine in found}, "missing": missing}

    def add(self, name, part):
        self.data[name] = part
        print(TELL[name](self.data, self.labels) + "\n", flush=True)

    def save(self):
        self.path.write_text(json.dumps(self.data, indent=1) + "\n")
        print(tell_wanted(self.data))
        for failure in failures(self.data):
            print("FAILED " + failure)
        for key, reason in self.data["missing"].items():
            print(f"not measured: {key}: {reason}")
        print(f"results in {self.path}")

    def status(self, check):
        """0; or 1 when a result is wrong, and with `check` when a wanted figure is missed or missing."""
        wrong = any(failures(self.data)) or "tessera" in self.data["missing"]
        return int(wrong or (check and not all(good for *_, good in judged(self.data))))


def failures(data):
    """Everything that did not give a right result, as lines."""
    for name, row in data.get("cpu", {}).get("programs", {}).items():
        if "failure" in row:
            yield f"{name}: {row['failure']}"
        elif row["expected"] is None:
            yield f"{name}: bench/checksums has no line for it"
        for key, entry in row["engines"].items():
            if "failure" in entry:
                yield f"{name}: {key}: {entry['failure']}"
    for part in ("compile", "startup", "machine"):
        if "failure" in data.get(part, {}):
            yield f"{part}: {data[part]['failure']}"
    groups = [("startup", data.get("startup", {}))]
    groups += [(f"compile {name}", module) for name, module in data.get("compile", {}).get("modules", {}).items()]
    for name, group in groups:
        for key, entry in group.get("engines", {}).items():
            if "failure" in entry:
                yield f"{name}: {key}: {entry['failure']}"


def judged(data):
    """Rows of WANTED with their figure (None: not measured) and whether it is reached."""
    for text, find, relation, limit in WANTED:
        try:
            value = find(data)
        except (KeyError, ValueError, TypeError):
            value = None
        good = value is not None and (value <= limit if relation == "at most" else value >= limit)
        yield text, value, f"{relation} {limit}", good


def tell_cpu(data, labels):
    cpu = data["cpu"]
    keys = [key for key in labels if any(key in row["engines"] for row in cpu["programs"].values())]
    rows = []
    for name, row in cpu["programs"].items():
        seconds = row["engines"].get("native", {}).get("median")
        rows.append([name, figure(seconds, 3)] + [figure(row["engines"].get(key, {}).get("ratio"))
                                                  for key in keys if key != "native"])
    for text, means in (("geometric mean, without simd_*", cpu["means"]), ("of simd_*", cpu["vector_means"])):
        rows.append([text, ""] + [figure(means.get(key)) for key in keys if key != "native"])
    disturbed = sum(entry.get("disturbed", 0) for row in cpu["programs"].values() for entry in row["engines"].values())
    return (table(["program", "native s"] + [labels[key] for key in keys if key != "native"], rows)
            + f"\n\nTime as a multiple of native; medians of {cpu['rounds']} interleaved rounds; {disturbed} disturbed runs "
              "were thrown away.")


def tell_compile(data, labels):
    text = []
    for name, module in data["compile"]["modules"].items():
        rows = [[labels.get(key, key)] + ([speed(entry["megabytes_per_second"]), figure(entry["seconds"], 3),
                                           figure(entry["peak_kib"] / 1024, 0)] if "failure" not in entry else ["failed"] * 3)
                for key, entry in module["engines"].items()]
        text.append(f"{name}: {module['bytes'] / 1e6:.1f} MB, code section {module['code_bytes'] / 1e6:.1f} MB\n\n"
                    + table(["compiler, one core", "MB/s of code", "seconds", "peak MiB"], rows))
    return "\n\n".join(text)


def tell_startup(data, labels):
    del labels
    rows = [[entry["label"]] + ([figure(entry["wall_us"] / 1000), figure(entry["best_us"] / 1000),
                                 figure(entry["processor_us"] / 1000), figure(entry["peak_kib"] / 1024, 1)]
                                if "failure" not in entry else ["failed"] * 4)
            for entry in data["startup"]["engines"].values()]
    return table(["hello", "ms, median", "ms, best", "processor ms", "peak MiB"], rows)


def tell_machine(data, labels):
    del labels
    machine, rows = data["machine"], []
    if "kernel_bytes" in machine:
        rows.append(["kernel image, KB", figure(machine["kernel_bytes"] / 1e3, 0)])
    for name, count in machine.get("instructions", {}).items():
        rows.append([f"instructions from entry to the first of a {name}, millions", figure(count / 1e6)])
    if "boot_to_end_ms" in machine:
        rows.append(["tessera run --platform vm hello.wasm, ms", figure(machine["boot_to_end_ms"], 0)])
    return table(["machine", "figure"], rows)


def tell_wanted(data):
    rows = [[text, limit, figure(value), "yes" if good else "NO"] for text, value, limit, good in judged(data)
            if value is not None]
    return table(["wanted", "limit", "measured", "reached"], rows) if rows else ""


TELL = {"cpu": tell_cpu, "compile": tell_compile, "startup": tell_startup, "machine": tell_machine}
BEGIN, END = "<!-- figures: written by bench/run --page -->", "<!-- end of figures -->"


def write_page(path, results):
    """Put the tables between the two marks of docs/performance.md; its prose stays."""
    data = results.data
    versions = "\n".join(f"- {results.labels[key]}: {version}" for key, version in data["engines"].items())
    titles = {"cpu": "Programs", "compile": "Compilation", "startup": "Start-up", "machine": "The machine"}
    sections = [f"### {titles[name]}\n\n{TELL[name](data, results.labels)}" for name in TELL if name in data]
    missing = "".join(f"\n- not measured: {key}: {reason}" for key, reason in data["missing"].items())
    kind = "a quick run" if data["quick"] else "a full run"
    figures = (f"{data['processor']}, {data['cores']} cores, {data['date']}, {kind}.\n\n{versions}{missing}\n\n"
               f"### Wanted\n\n{tell_wanted(data)}\n\n" + "\n\n".join(sections))
    text = path.read_text()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(head + BEGIN + "\n\n" + figures + "\n\n" + END + tail)
