"""The picture at the top of the README: a real run in a real terminal (tmux), drawn by rich as one animated SVG.

    python -m benchmarks.recording docs/images/run.svg

Nothing in it is made up: a sandbox is filled, `refire run` is typed, stopped with Ctrl-C and resumed, and the screen
is taken as tmux shows it. Needs tmux.
"""

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from refire_async.aws.session import open_session
from refire_async.cli.demo_table import create_table, fill_table
from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import start_sandbox
from refire_async.settings import Connection

COLUMNS, ROWS = 80, 24
ITEMS = 60_000
ROOT = Path(__file__).resolve().parents[1]

THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        *((72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34)),
        *((88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196)),
    ],
)

FONTS = "Fira Code, ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"

STILL = "@media (prefers-reduced-motion: reduce) { g { animation: none !important } }"

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "recording", "AWS_SECRET_ACCESS_KEY": "recording"}


@dataclass
class Terminal:
    """A shell in a tmux server of its own, and what was taken of its screen: text and for how many seconds."""

    socket: str
    frames: list[tuple[str, float]] = field(default_factory=list)

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.socket, *arguments],  # noqa: S607 - whichever the user has
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def start(self, home: Path, environment: dict[str, str]) -> None:
        """A shell with this environment alone, in which `refire` is this very program."""
        python = shlex.join([sys.executable, "-m", "refire_async"])
        rc = home / "rc"
        rc.write_text(f"PS1='$ '\nrefire() {{ {python} \"$@\"; }}\ncd {shlex.quote(str(home))}\nclear\n")
        settings = [f"{name}={value}" for name, value in environment.items()]
        self.tmux(
            *("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-s", "r"),
            shlex.join(["env", "-i", *settings, "bash", "--rcfile", str(rc)]),
        )
        self.tmux("set", "-g", "status", "off")
        time.sleep(1.0)

    def type(self, text: str) -> None:
        """Type a line, and let it be read."""
        self.tmux("send-keys", "-t", "r", "-l", text)
        time.sleep(0.2)
        self.take(1.2)
        self.tmux("send-keys", "-t", "r", "Enter")

    def press(self, key: str) -> None:
        """Press one key."""
        self.tmux("send-keys", "-t", "r", key)

    def screen(self) -> str:
        """What can be seen, with its colours."""
        return self.tmux("capture-pane", "-e", "-p", "-t", "r")

    def take(self, seconds: float) -> None:
        """Take the screen as a frame that is shown for so long."""
        self.frames.append((self.screen(), seconds))

    def watch(self, times: int, every_s: float) -> None:
        """Take some frames of something that moves."""
        for _ in range(times):
            time.sleep(every_s)
            self.take(every_s)

    def wait_for(self, words: str, timeout_s: float = 60.0) -> None:
        """Wait until the screen shows this. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while words not in self.screen():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the screen does not show {words!r}:\n{self.screen()}")
            time.sleep(0.1)


def main() -> None:
    """Record and write the SVG."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="refire-recording-") as home:
        frames = anyio.run(_record, Path(home))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(animate(frames))
    print(f"{target}: {len(frames)} frames, {target.stat().st_size / 1024:.0f} KiB")


async def _record(home: Path) -> list[tuple[str, float]]:
    os.environ.update(CREDENTIALS)
    async with start_sandbox(SandboxConfig()) as url:
        connection = Connection(region="us-east-1", endpoint_url=url)
        async with open_session(connection, concurrency=16) as session:
            await create_table(session)
            await fill_table(session, ITEMS)
        return await anyio.to_thread.run_sync(_play, home, url)


def _play(home: Path, url: str) -> list[tuple[str, float]]:
    environment = {
        **CREDENTIALS,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "TERM": "screen-256color",
        "LANG": "C.UTF-8",
        "AWS_REGION": "us-east-1",
        "REFIRE_ENDPOINT_URL": url,
    }
    terminal = Terminal(f"refire-{os.getpid()}")
    terminal.start(home, environment)
    try:
        terminal.type("refire run --table demo-orders --run-id fix-42 --max-wcu 6000")
        terminal.wait_for("Continue? [y/N]")
        terminal.type("y")
        terminal.wait_for("p99")
        terminal.watch(5, 0.8)
        terminal.press("C-c")
        terminal.wait_for("Resume with:")
        time.sleep(0.3)
        terminal.take(3.5)
        terminal.press("C-l")
        terminal.type("refire resume fix-42 --max-wcu 9000")
        terminal.wait_for("p99")
        terminal.watch(3, 0.6)
        terminal.wait_for("retries 0")
        time.sleep(0.3)
        terminal.take(4.0)
    finally:
        terminal.tmux("kill-server")
    return terminal.frames


def animate(frames: list[tuple[str, float]]) -> str:
    """All frames in one SVG, each visible in its turn, over and over. Without animation the last is seen."""
    pictures = [_picture(text, f"f{number}") for number, (text, _) in enumerate(frames)]
    found = re.search(r'viewBox="([^"]+)"', pictures[0])
    assert found, "rich draws a viewBox"  # noqa: S101 - it does
    total = sum(seconds for _, seconds in frames)
    styles, groups, begin = [], [], 0.0
    # Where nothing moves, the first frame is all that one sees: the animation starts at the last one.
    start = total - frames[-1][1]
    for number, (picture, (_, seconds)) in enumerate(zip(pictures, frames, strict=True)):
        first, last = (100 * moment / total for moment in (begin, begin + seconds))
        begin += seconds
        styles.append(
            f"@keyframes k{number} {{ 0% {{ visibility: hidden }} {first:.3f}% {{ visibility: visible }} "
            f"{last:.3f}%, 100% {{ visibility: hidden }} }}\n"
            f".k{number} {{ visibility: {'visible' if number == len(frames) - 1 else 'hidden'}; "
            f"animation: k{number} {total:.1f}s step-end -{start:.1f}s infinite }}"
        )
        groups.append(f'<g class="k{number}">{picture}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{found[1]}" role="img" '
        'aria-label="refire run in a terminal: started, stopped with Ctrl-C, resumed, complete">\n'
        f"<style>\n{chr(10).join(styles)}\n{STILL}\n</style>\n{chr(10).join(groups)}\n</svg>\n"
    )


def _picture(screen: str, name: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    lines = screen.rstrip("\n").split("\n")
    for line in [*lines, *[""] * (ROWS - len(lines))]:
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    picture = console.export_svg(title="refire", theme=THEME, unique_id=name)
    # A font that is fetched from elsewhere would be an outside request: the viewer's own will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code, monospace", FONTS)


if __name__ == "__main__":
    main()
