#!/usr/bin/env python3
"""Owns the figures that the README's claims rest on, each beside its peer in one run: how long and how large `describe` is (beside
packer-plugin-amazon's), how long a 30-check suite takes once cloud-init has finished, and three regions beside one. Prints; asserts nothing,
since these machines are shared and noisy. Run it with a cloud around it:

  examples/mini-cloud/mini-cloud run -- benches/figures.py [--assay target/release/assay] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("ASSAY_TOOLS") or pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "assay/tools")
STOCK = "debian-12-amd64-20261101-2000"


def measured(command: list[str]) -> tuple[float, float | None]:
    """(seconds, peak MiB) of one run of a command, which must succeed. The peak is GNU time's, which starts the command from a small process:
    counted from here it would be Python's own. None where GNU time is missing (apt-get install time)."""
    timer = ["/usr/bin/time", "-f", "%M"] if pathlib.Path("/usr/bin/time").exists() else []
    began = time.monotonic()
    done = subprocess.run([*timer, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr}")
    return seconds, int(done.stderr.split()[-1]) / 1024 if timer else None


def describe(assay: pathlib.Path, rounds: int) -> None:
    """`describe` of assay and of the amazon plugin, in turn."""
    programs = {"assay": assay, "packer-plugin-amazon": TOOLS / "bin/packer-plugin-amazon"}
    seen: dict[str, list[tuple[float, float | None]]] = {name: [] for name in programs}
    for _ in range(rounds * 10):
        for name, program in programs.items():
            seen[name].append(measured([str(program), "describe"]))
    for name, figures in seen.items():
        milliseconds = [seconds * 1000 for seconds, _ in figures]
        peaks = [mib for _, mib in figures if mib is not None]
        peak = f"{max(peaks):5.1f} MiB" if peaks else "unknown (apt-get install time)"
        print(f"describe  {name:22} median {statistics.median(milliseconds):6.1f} ms  min {min(milliseconds):6.1f} ms  peak {peak}")
    print(f"binary    assay {assay.stat().st_size / 2**20:.1f} MiB")


def control(verb: str, wish: dict | None = None) -> dict:
    """One request to the mini cloud's control address."""
    data = json.dumps(wish).encode() if wish else None
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_minicloud/" + verb, data) as answer:
        return json.load(answer)


def images(regions: list[str], name: str) -> list[str]:
    """A copy of the stock Debian in each region, ours, as region:ami."""
    import hashlib

    stock = lambda region: "ami-0" + hashlib.sha256(f"{region} {STOCK}".encode()).hexdigest()[:16]  # noqa: E731
    return [f"{r}:{control('copy', {'image': stock(r), 'region': r, 'name': name})['image']}" for r in regions]


def validate(assay: pathlib.Path, folder: pathlib.Path, amis: list[str]) -> tuple[float, list[dict]]:
    """Wall seconds of `assay validate`, and its targets."""
    began = time.monotonic()
    command = [str(assay), "validate", "--ami", *amis, "--suite", str(ROOT / "benches/thirty.hcl"), "--ssh-username", "admin", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, "XDG_STATE_HOME": str(folder / "state")})
    if done.returncode != 0:
        raise SystemExit(f"assay validate ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - began, json.loads(done.stdout)["targets"]


def regions(assay: pathlib.Path, rounds: int) -> None:
    """One region and three, in turn."""
    one, three, checks = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for n in range(rounds):
            for places, times in ((["us-east-1"], one), (["us-east-1", "eu-west-1", "us-west-2"], three)):
                seconds, targets = validate(assay, folder, images(places, f"figures-{n}-{len(places)}"))
                times.append(seconds)
                if len(places) == 1:
                    checks += [phase["duration_ms"] for phase in targets[0]["phases"] if phase["name"] == "checks"]
                    count = len(targets[0]["checks"])
    print(f"suite     {count} checks after cloud-init's end: median {statistics.median(checks)} ms, max {max(checks)} ms")
    ratio = statistics.median(b / a for a, b in zip(one, three))
    print(f"regions   one {statistics.median(one):.1f} s, three {statistics.median(three):.1f} s: {ratio:.2f} times as long (all on one machine's two cores)")


def main() -> None:
    """Prints every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assay", type=pathlib.Path, default=ROOT / "target/release/assay")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    describe(options.assay.resolve(), options.rounds)
    regions(options.assay.resolve(), options.rounds)


if __name__ == "__main__":
    main()
