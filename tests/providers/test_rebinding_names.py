"""A name server that changes its answer at each question: what was judged is what is dialled."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REQUESTS = int(os.environ.get("REBINDINGS", "200"))
HERE = Path(__file__).parent
ASKING_IT = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


def test_no_change_of_mind_of_a_name_server_leads_inside(tmp_path: Path) -> None:
    """By the system's own resolver, in namespaces whose only name server is ours."""
    config = tmp_path / "resolv.conf"
    config.write_text("nameserver 127.0.0.1\noptions timeout:2\n")
    apart = ["unshare", "-Urmn", "sh", "-c", ASKING_IT, str(config)]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("a name server of its own needs Linux and the right to namespaces")
    done = subprocess.run(
        [*apart, sys.executable, HERE / "rebinding.py", str(REQUESTS)],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert list(said["dialled"]) == ["8.8.8.8"], said
    assert said["blocked"] + said["dialled"]["8.8.8.8"] == REQUESTS
    assert said["blocked"] > REQUESTS // 4
    assert said["asked"] >= REQUESTS
