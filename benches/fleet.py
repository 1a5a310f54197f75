#!/usr/bin/env python3
"""Owns the figures of many hosts at once: one `assay probe` of all of them beside as many `ssh host true` at the same parallelism, in turn, and how
much memory its prober takes. The hosts are ports of sshd processes on loopback, so they share this machine's processors with what is measured: what is
compared is the work of both sides. Prints; asserts only that every target completes.

  benches/fleet.py [--assay target/release/assay] [--rounds 3] [--targets 200] [--many 1000]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import threading
import time

from ground import ROOT, Server, machine, row, server, suites

# What the prober takes on at once (MAX_TARGETS in crates/assay-prober/src/serve.rs).
AT_ONCE = 256


def ssh_true(on: Server, ports: list[int]) -> float:
    """Wall seconds of one fresh `ssh host true` for each port, as many at once as assay's prober would."""
    command = " ".join(on.command(0, "true")[:-4])
    began = time.monotonic()
    done = subprocess.run(
        ["xargs", "-P", str(min(AT_ONCE, len(ports))), "-I", "{}", "sh", "-c", f"exec {command} -p {{}} {on.user}@127.0.0.1 true"],
        input="\n".join(map(str, ports)), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"ssh failed: {done.stderr[-2000:]}")
    return time.monotonic() - began


class Watch:
    """The peak of a process's prober child, read while it runs: memory and threads (proc(5): VmHWM, Threads)."""

    def __init__(self, parent: int) -> None:
        self.parent, self.peak, self.threads, self.over = parent, 0, 0, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over:
            try:
                children = pathlib.Path(f"/proc/{self.parent}/task/{self.parent}/children").read_text().split()
                children += [c for t in pathlib.Path(f"/proc/{self.parent}/task").iterdir() for c in (t / "children").read_text().split()]
                for child in set(children):
                    lines = pathlib.Path(f"/proc/{child}/status").read_text().splitlines()
                    status = dict(line.split(":", 1) for line in lines if ":" in line)
                    self.peak = max(self.peak, int(status.get("VmHWM", "0 kB").split()[0]))
                    self.threads = max(self.threads, int(status.get("Threads", "0")))
            except OSError:
                pass
            time.sleep(0.02)

    def end(self) -> tuple[float, int]:
        """Peak MiB and threads."""
        self.over = True
        self.thread.join()
        return self.peak / 1024, self.threads


def probe(assay: pathlib.Path, on: Server, ports: list[int], suite: pathlib.Path) -> tuple[float, float, int]:
    """Wall seconds of one `assay probe` of every port, its prober's peak MiB and threads. Every target must pass."""
    hosts = [f"{on.user}@127.0.0.1:{port}" for port in ports]
    host_key = " ".join((on.folder / "host_key.pub").read_text().split()[:2])
    known = on.folder / "known_hosts"
    known.write_text("".join(f"[127.0.0.1]:{port} {host_key}\n" for port in on.ports))
    output = on.folder / "result.json"
    command = [str(assay), "probe", "--host", *hosts, "--key", str(on.key), "--known-hosts", str(known), "--suite", str(suite), "--ssh-timeout", "3m", "--format", "json"]
    began = time.monotonic()
    with open(output, "w") as stdout, open(on.folder / "errors", "w") as stderr:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=on.folder)
        watch = Watch(running.pid)
        status = running.wait()
    took = time.monotonic() - began
    peak, threads = watch.end()
    text = output.read_text()
    verdicts = [target["verdict"] for target in json.loads(text)["targets"]] if text else []
    if status != 0 or verdicts.count("passed") != len(ports):
        raise SystemExit(f"assay ended with {status}, {verdicts.count('passed')} of {len(ports)} passed: {(on.folder / 'errors').read_text()[-2000:]}")
    return took, peak, threads


def main() -> None:
    """Prints every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assay", type=pathlib.Path, default=ROOT / "target/release/assay")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--many", type=int, default=1000, help="a run of so many targets at the end; 0 leaves it out")
    options = parser.parse_args()
    assay = options.assay.resolve()
    with server(max(options.targets, options.many)) as on:
        ports = on.ports[: options.targets]
        print(f"{machine()}; {len(ports)} targets on this machine; {assay}; {options.rounds} rounds, each in turn")
        times: dict[str, list[float]] = {"ssh host true for each": [], "assay probe, 10 checks": [], "assay probe, 100 checks": []}
        peaks: dict[str, list[tuple[float, int]]] = {}
        for _ in range(options.rounds):
            times["ssh host true for each"].append(ssh_true(on, ports))
            for count in (10, 100):
                name = f"assay probe, {count} checks"
                took, peak, threads = probe(assay, on, ports, suites(on.folder, count)[0])
                times[name].append(took)
                peaks.setdefault(name, []).append((peak, threads))
        for name, taken in times.items():
            most = f"   prober: {max(peaks[name])[0]:.0f} MiB, {max(t for _, t in peaks[name])} threads" if name in peaks else ""
            print(row(name, taken, times["ssh host true for each"]) + most)
        if options.many:
            took, peak, threads = probe(assay, on, on.ports[: options.many], suites(on.folder, 10)[0])
            alone = ssh_true(on, on.ports[: options.many])
            print(f"{options.many} targets, 10 checks: all passed in {took:.1f} s ({took / alone:.2f} x of as many `ssh host true`: {alone:.1f} s); prober: {peak:.0f} MiB, {threads} threads")


if __name__ == "__main__":
    main()
