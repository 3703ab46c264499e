"""docker-compose files as scenarios: what each key becomes, and every refusal with its line and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.errors import ScenarioError, SkyloomError

pytest.importorskip("yaml", reason="PyYAML is not installed")

from emulator.scenario.importers import ImportOptions, compose, containerlab, read, yaml_tree
from emulator.scenario.importers.draft import Draft
from emulator.scenario.importers.variables import Variables, read_file
from tests.support import made_images

WAN = ImportOptions("five-regions", environment={"TAG": "7"})


def draft(text: str, folder: Path = Path("/nowhere"), options: ImportOptions = WAN) -> Draft:
    return compose.read(yaml_tree.parse(text, "compose.yaml"), folder, "compose.yaml", options)


def service(keys: str, folder: Path = Path("/nowhere")) -> Draft:
    """The draft of a file with one service of the keys (a flow mapping), from line 3 on, beside `command`."""
    return draft(
        f"services:\n  a:\n    command: run it\n{''.join(f'    {line}' for line in keys.splitlines(True))}", folder
    )


def program(keys: str) -> dict[str, Any]:
    made = service(keys)
    assert not made.problems, made.problems
    found: dict[str, Any] = made.data["program"][0]
    return found


def host(keys: str) -> dict[str, Any]:
    made = service(keys)
    assert not made.problems, made.problems
    found: dict[str, Any] = made.data["host"][0]
    return found


TAKEN = {
    "environment: {A: 1, B: 'x y', C: '${TAG}', D: '${NO:-d}', E: no}":
        ("environment", {"A": "1", "B": "x y", "C": "7", "D": "d", "E": "no"}),
    "environment: [A=1, B=, TAG, NONE]": ("environment", {"A": "1", "B": "", "TAG": "7"}),
    "entrypoint: [sh, -c]\n": ("command", ["sh", "-c", "run", "it"]),
    "x-skyloom-command: echo {node} $$HOME": ("command", ["echo", "{{node}}", "$HOME"]),
    "healthcheck: {test: [CMD, ok, '{'], interval: 2s, retries: 5, timeout: 1s, start_period: 1m}":
        ("ready", {"command": ["ok", "{{"]}),
    "healthcheck: {test: exit 0, interval: 2s, retries: 5, timeout: 1s, start_period: 1m}": ("ready_within", "71 s"),
    "restart: on-failure:3": ("restart", 3),
    "restart: always": ("restart", 10),
    "deploy: {restart_policy: {condition: on-failure, max_attempts: 4}}": ("restart", 4),
    "deploy: {replicas: 3}": ("nodes", ["a-1", "a-2", "a-3"]),
}  # fmt: skip
OF_HOSTS = {
    "deploy: {resources: {limits: {cpus: '0.5', memory: 256M}}}": {"cpu": 0.5, "memory": "268435456 B"},
    "cpus: 2\nmem_limit: 1gb": {"cpu": 2.0, "memory": "1073741824 B"},
    "ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}": {"limits": {"nofile": 10, "nproc": 5}},
    "sysctls: [net.ipv4.ip_forward=0]": {"sysctl": {"net.ipv4.ip_forward": "0"}},
    "tmpfs: /run:size=1m\nvolumes: [/data]": {"private": ["/run", "/data"]},
    "read_only: true": {"read_only": True},
}


@pytest.mark.parametrize("keys", TAKEN)
def test_a_key_of_a_service_becomes_one_of_its_program(keys: str) -> None:
    name, value = TAKEN[keys]
    assert program(keys)[name] == value


@pytest.mark.parametrize("keys", OF_HOSTS)
def test_a_key_of_a_service_becomes_one_of_its_hosts(keys: str) -> None:
    assert host(keys) == {"nodes": ["a"], **OF_HOSTS[keys]}


REFUSED = {
    "build: .": (4, "build", "docker build"),
    "image: redis:7": (4, "image", "docker save redis:7 -o images/redis.tar"),
    "network_mode: host": (4, "network_mode", "a service without it"),
    "hostname: b": (4, "hostname", "nodes go by service"),
    "depends_on: [z]": (4, "depends_on", "one of a"),
    "depends_on: [a]": (4, "depends_on", "services that wait for each other"),
    "depends_on:\n  a: {condition: service_completed_successfully}": (5, "depends_on.a.condition", "service_healthy"),
    "healthcheck: {test: [RUN, x]}": (4, "healthcheck.test", "[CMD, …words]"),
    "healthcheck: {interval: 1s}": (4, "healthcheck", "`test`"),
    "healthcheck:\n  test: x\n  interval: soon": (6, "healthcheck.interval", "a duration such as 10s"),
    "restart: often": (4, "restart", "on-failure:N"),
    "volumes: [data:/x]": (4, "volumes.0", "one that `volumes` declares"),
    "volumes: ['./none:/x']": (4, "volumes.0", "a file or a folder that is there"),
    "volumes: [{type: npipe, target: /x}]": (4, "volumes.0.type", "bind, volume or tmpfs"),
    "volumes: [rel]": (4, "volumes.0", "an absolute path"),
    "networks: {default: {ipv4_address: 10.0.0.2}}": (4, "networks.default.ipv4_address", "addresses come from"),
    "networks: [back]": (4, "networks.back", "one that `networks` declares"),
    "environment: {A: '${B:?is needed}'}": (4, "environment.A", "B in the environment or in .env"),
    "environment: {A: '${B'}": (4, "environment.A", "${NAME}"),
    "environment: 5": (4, "environment", "a table"),
    "command: 'open \"quote'": (4, "command", "closed"),
    "scale: many": (4, "scale", "a whole number"),
    "deploy: {mode: global}": (4, "deploy.mode", "'replicated'"),
    "mem_limit: lots": (4, "mem_limit", "a size such as"),
    "env_file: none.env": (4, "env_file", "a file of NAME=value"),
    "configs: [x]": (4, "configs", "a service without it"),
    "working_dir: here": (4, "working_dir", "without `image`"),
    "user: me": (4, "user", "without `image`"),
}


def test_a_mistyped_key_tells_the_one_that_is_meant() -> None:
    [problem] = service("comand: sh").problems
    assert problem.expected.endswith("; did you mean 'command'?")


@pytest.mark.parametrize("keys", REFUSED)
def test_what_would_change_the_software_is_refused_with_line_and_key(keys: str) -> None:
    line, key, part = REFUSED[keys]
    made = draft(f"services:\n  a:\n\n    {keys}") if keys.startswith("command") else service(keys)
    found = [each for each in made.problems if each.key.startswith(f"services.a.{key}")]
    assert [each.where for each in found] == [f"compose.yaml:{line}"], made.problems
    assert part in found[0].expected + found[0].found


def test_what_cannot_matter_is_listed_with_line_and_key() -> None:
    made = service("container_name: x\nlabels: [a]\nlogging: {driver: none}\nports: ['80:80']\nexpose: [1]")
    assert not made.problems
    assert [each.split(":")[1].split()[0] for each in made.warnings] == ["4", "5", "6", "7", "8"]
    assert made.warnings[0].startswith("compose.yaml:4  services.a.container_name: ")


def test_nodes_are_dealt_to_regions_but_for_those_that_say_theirs() -> None:
    made = draft("services:\n  a: {command: x, x-skyloom: {region: us-west-1}}\n  b: {command: x, scale: 2}")
    assert made.data["wan"] == {"map": "five-regions", "places": {"a": "us-west-1", "b-1": "", "b-2": ""}}
    assert made.lines["wan", "places", "a"] == 2
    none = draft("services: {a: {command: x}}", options=ImportOptions())
    assert "--wan MAP" in none.problems[0].expected


def test_a_scenario_may_stand_in_the_file() -> None:
    text = "x-skyloom:\n  duration: 9 s\n  expect:\n  - {figure: x, at_least: 1}\nservices: {a: {command: x}}"
    made = draft(text)
    assert made.data["duration"] == "9 s"
    assert made.data["expect"] == [{"figure": "x", "at_least": 1}]
    assert made.lines["expect", 0, "figure"] == 4


def test_env_files_and_the_file_of_variables(tmp_path) -> None:
    (tmp_path / ".env").write_text("TAG=8\nOTHER=o\n")
    (tmp_path / "a.env").write_text("# c\nexport A='$x'\nB=\"${OTHER}\\n\" # c\nC=1 # c\nTAG\n")
    made = draft("services: {a: {command: '${TAG}${OTHER}', env_file: [a.env, {path: no, required: false}]}}", tmp_path)
    assert not made.problems
    assert made.data["program"][0]["command"] == ["7o"]  # the environment wins
    assert made.data["program"][0]["environment"] == {"A": "$x", "B": "o\n", "C": "1", "TAG": "7"}


def test_binds_of_text_become_files_and_of_others_are_refused(tmp_path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a").write_text("{x}")
    (tmp_path / "conf/b").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "one").write_text("1")
    made = draft("services: {a: {command: x, volumes: [./one:/etc/app/one:ro, './conf:/conf']}}", tmp_path)
    assert ["not text" in each.found for each in made.problems] == [True]
    (tmp_path / "conf/b").unlink()
    made = draft("services: {a: {command: x, volumes: [./one:/etc/app/one:ro, './conf:/conf']}}", tmp_path)
    assert {each["path"]: each["content"] for each in made.data["file"]} == {"/etc/app/one": "1", "/conf/a": "{{x}}"}
    assert made.data["host"][0]["private"] == [{"path": "/etc/app", "from": "host"}, "/conf"]


def test_a_volume_of_two_nodes_is_refused() -> None:
    made = draft("services:\n  a: {command: x, volumes: [v:/v]}\n  b: {command: x, volumes: [v:/v]}\nvolumes: {v: }")
    assert [each.where for each in made.problems] == ["compose.yaml:3"]
    assert "nodes share no folder" in made.problems[0].expected


def test_an_image_gives_what_the_file_leaves_open(tmp_path) -> None:
    layers = [made_images.layer(made_images.folder("bin"))]
    settings = {"Entrypoint": ["/entry"], "Cmd": ["serve"], "User": "7", "WorkingDir": "/srv"}
    made_images.write_folder(tmp_path / "images/redis", made_images.docker_files(layers, **settings))
    for keys, words in {
        "": (None, None),
        ", command: other": (["other"], None),
        ", entrypoint: [sh]": (None, ["sh"]),
        ", entrypoint: [sh], command: [-c, '{}']": (["-c", "{{}}"], ["sh"]),
    }.items():
        made = draft(f"services: {{a: {{image: 'registry.io/lib/redis:7'{keys}}}}}", tmp_path)
        assert not made.problems
        assert tuple(map(made.data["program"][0].get, ("command", "entry_point"))) == words
        assert made.data["host"][0]["image"] == str(tmp_path / "images/redis")
    made = draft("services: {a: {image: redis, user: web, working_dir: /srv, volumes: [/data]}}", tmp_path)
    assert made.data["host"][0] | {"image": ""} == {
        "nodes": ["a"], "image": "", "user": "web", "working_folder": "/srv",
        "private": [{"path": "/data", "from": "image"}, {"path": "/srv", "from": "image"}],
    }  # fmt: skip
    (tmp_path / "broken.tar").write_bytes(b"no tar")
    made = draft("services: {a: {image: ./broken.tar}}", tmp_path)
    assert made.problems[0].key == "services.a.image"


def test_anchors_and_merges() -> None:
    made = draft(
        "x-a: &a {command: x, environment: &e {A: 1}}\nservices:\n  a:\n    <<: *a\n    environment: {<<: *e, B: 2}"
    )
    assert made.data["program"][0]["environment"] == {"A": "1", "B": "2"}


BROKEN = {
    "tab": ("services:\n\ta: 1", 2, "a tab"),
    "key twice": ("services:\n  a: {}\n  a: {}", 3, "again, first in line 2"),
    "anchor in itself": ("services: &a\n  b: *a", 1, "an anchor within itself"),
    "no such anchor": ("services: *a", 1, "undefined alias"),
    "tag": ("services: !python/object:os.system x", 1, "the tag"),
    "open": ("services: [", 1, "expected"),
    "two documents": ("services: {}\n---\nservices: {}", 2, "document"),
    "control": ("services: \x01", 1, "the character"),
    "key of a list": ("? [a]\n: b", 1, "as a key"),
    "deep": ("[" * 5000, 1, "nested too deep"),
    "merge of a text": ("a:\n  <<: b", 2, "at '<<'"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_yaml_is_refused_with_its_line(kind: str) -> None:
    text, line, part = BROKEN[kind]
    with pytest.raises(ScenarioError) as caught:
        yaml_tree.parse(text, "x.yaml")
    assert f"x.yaml:{line}" in str(caught.value)
    assert part in str(caught.value)


def test_aliases_of_aliases_cost_nothing() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 60))
    made = draft(f"x-bomb:\n{''.join(f'  {line}' for line in bomb.splitlines(True))}services: {{a: {{command: *a59}}}}")
    assert {each.key for each in made.problems} == {f"services.a.command.{number}" for number in range(9)}


def test_variables() -> None:
    fill = Variables({"A": "a", "E": ""}).fill
    filled = {
        "$A${A}": "aa", "$$A": "$A", "${E:-d}${E-d}": "d", "${N-${A:+${A}b}}": "ab", "${A:+x}${N+y}": "x",
        "${A:?no}": "a", "$N.": ".",
    }  # fmt: skip
    for text, value in filled.items():
        assert fill(text) == value, text
    for text in ("$", "${", "${A", "${A:=b}", "${1}", "${N:?no}", "${A:-" * 30 + "}" * 30):
        with pytest.raises(ValueError, match="expected"):
            fill(text)


FILES = [
    "services:\n  a:\n    image: x\n    command: [a, '${B:-c}']\n    depends_on: {b: {condition: service_healthy}}\n"
    "    healthcheck: {test: x, interval: 1m}\n  b: {command: y, deploy: {replicas: 2}, volumes: ['v:/v']}\n"
    "volumes: {v: }",
    "name: lab\ntopology:\n  kinds: {linux: {image: x}}\n  nodes:\n    a: {exec: [ip link], binds: ['x:/y']}\n"
    "    b: {}\n  links: [{endpoints: ['a:eth1', 'b:eth1'], mtu: 1500}]",
]  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(FILES), st.data())
def test_any_file_is_imported_or_refused(text: str, data) -> None:
    at = data.draw(st.integers(0, len(text)))
    words = ["[]", "{}", "null", "*a", "&a ", "<<: ", "-", "99", "'"]
    put = data.draw(st.one_of(st.text(max_size=5), st.sampled_from(words)))
    text = text[:at] + put + text[at + data.draw(st.integers(0, 12)) :]
    reader = data.draw(st.sampled_from([compose, containerlab]))
    try:
        made = reader.read(yaml_tree.parse(text, "x.yaml"), Path("/nowhere"), "x.yaml", WAN)
    except SkyloomError:
        return
    json.dumps(made.data)
    assert all(":" in each.where for each in made.problems)


@given(st.text(max_size=60))
def test_any_variable_text_and_env_file_is_read_or_refused(text: str) -> None:
    read_file(text, {"A": "b"})
    try:
        Variables({"A": "b"}).fill(text)
    except ValueError:
        return


def test_a_file_that_is_neither(tmp_path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: 1")
    with pytest.raises(ScenarioError, match="neither in a table"):
        read(file, "x.yaml", WAN)
