"""A standalone script that becomes a server, or runs one: in a session of its own, recorded before
it exists, and unprivileged if required.

May touch: processes, one pid file.  It is run by path and uses only the standard library, so that
it starts within 20 ms.

    launcher.py [--user NAME --needs PATH ...] [--record FILE [--leash]] -- PROGRAM ARGUMENT ...

Without `--record` it turns into PROGRAM.  With it, PROGRAM runs in a session of its own and keeps
running when the caller ends:

1. the child writes its pid and start time to FILE, then turns into PROGRAM, so no server ever runs
   that FILE does not name;
2. the launcher closes its stdout once the child has become PROGRAM, or says there why it could not;
   PROGRAM's output goes to stderr.

Without `--record`, PROGRAM is a tool of the caller's and dies with it (Linux).

With `--leash` the launcher stays as the child's parent, and stops the child when its own stdin
closes, which the kernel also does for a caller that was killed.

`--user` is for root: PostgreSQL refuses to run with user id 0.  The process becomes NAME for good.
If NAME cannot reach the program or what it `--needs` (such as a clone below /root), the process
keeps one of root's capabilities, CAP_DAC_OVERRIDE, so that no folder must be opened to all users.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import threading

# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_SETPCAP = 8
# <linux/securebits.h>
SECBIT_NO_SETUID_FIXUP = 1 << 2

# A broker needs 1 to 3 s to stop; the data of one on a leash are no longer needed.
LEASH_GRACE_S = 5


def process_start(pid: int) -> str | None:
    """When the live process `pid` started, as text that no later process with this pid will have;
    None if there is none (or a zombie).

    On Linux, the boot id and the clock ticks since boot, which do not change when the clock is set;
    elsewhere, psutil's creation time.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists("/proc/self/stat"):
            return None
        return _process_start_psutil(pid)
    # The first thread may have ended before the others, which then still hold the process's files
    # and ports.
    if fields[0] in (b"Z", b"X") and int(fields[17]) <= 1:
        return None
    with open("/proc/sys/kernel/random/boot_id") as file:
        return f"{file.read().strip()}:{fields[19].decode()}"


def _process_start_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None


def write_record(path: str) -> None:
    """Record this process in `path`, all or nothing."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(f"{os.getpid()} {process_start(os.getpid())}\n")
    os.replace(temporary, path)


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _set_capabilities(*capabilities: int) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bits = sum(1 << capability for capability in capabilities)
    # Effective, permitted and inheritable of capabilities 0..31, then of 32..63.
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def _hold_only(capability: int) -> None:
    """Make `capability` the only one, and keep it when turning into another program."""
    _set_capabilities(capability, CAP_SETPCAP)
    # Without this bit, access(2), with which PostgreSQL looks for its programs, ignores the
    # capabilities of users other than root.
    _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    _set_capabilities(capability)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def become(user: str, needs: list[str]) -> None:
    """Turn this process, which runs as root, into `user`, able to execute `needs[0]` and to write
    the others."""
    import pwd

    entry = pwd.getpwnam(user)
    linux = sys.platform == "linux"
    if linux:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setregid(entry.pw_gid, entry.pw_gid)
    os.setreuid(entry.pw_uid, entry.pw_uid)
    reachable = os.access(needs[0], os.R_OK | os.X_OK) and all(
        os.access(path, os.R_OK | os.W_OK) for path in needs[1:]
    )
    if not reachable and linux:
        _hold_only(CAP_DAC_OVERRIDE)
    os.environ["HOME"] = "/"


def launch(options: argparse.Namespace) -> None:
    """Turn into the program, in the current folder.  Does not return."""
    if options.record:
        os.setsid()
        # Written as the caller's user, who owns the folder.
        write_record(options.record)
    if options.user:
        become(options.user, [options.program[0], *options.needs])
    if not options.record and sys.platform == "linux":
        # After the change of user, which clears it.
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(options.program[0], options.program)


def detach(options: argparse.Namespace) -> int:
    """Run the program in a child.  Returns the exit code of the launcher."""
    # not inheritable: it closes, empty, when the child becomes the program
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            launch(options)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(writer)
    with open(reader, "rb") as pipe:
        problem = pipe.read().decode()
    if problem:
        sys.stdout.write(problem)
        return 1
    if options.leash:
        os.dup2(2, 1)
        hold_leash(child)
    return 0


def hold_leash(child: int) -> None:
    """Return when `child` has ended; end it when stdin closes."""
    ended = threading.Event()

    def stop_with_caller() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
            if not ended.wait(LEASH_GRACE_S):
                os.kill(child, signal.SIGKILL)

    # The caller's terminal must not end the launcher before the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=stop_with_caller, daemon=True).start()
    os.waitpid(child, 0)
    ended.set()


def main() -> int:
    """Parse the arguments and do what the module's docstring says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user")
    parser.add_argument("--needs", action="append", default=[])
    parser.add_argument("--record")
    parser.add_argument("--leash", action="store_true")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    if options.record:
        return detach(options)
    launch(options)
    return 1


if __name__ == "__main__":
    sys.exit(main())
