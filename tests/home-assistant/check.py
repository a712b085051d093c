"""Compares what Home Assistant shows with what the broker holds, and turns its knobs.

usage: check.py HOME_ASSISTANT_URL BROKER_PORT PASSWORD_FILE
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime

import jinja2
import paho.mqtt.client as mqtt

PATIENCE_S = 60


class Broker:
    """Everything retained, as it is now."""

    def __init__(self, port, password):
        self._lock = threading.Lock()
        self._topics = {}
        self._client = mqtt.Client()
        self._client.username_pw_set("ha", password)
        self._client.on_connect = lambda client, *_: client.subscribe([("homeassistant/#", 1), ("twc/#", 1)])
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, _client, _data, message):
        with self._lock:
            self._topics[message.topic] = message.payload.decode()

    def at(self, topic):
        with self._lock:
            return self._topics.get(topic)

    def documents(self):
        """Discovery documents in entity form by entity id."""
        with self._lock:
            found = [(t.split("/")[1], json.loads(p)) for t, p in self._topics.items()
                     if t.startswith("homeassistant/") and t.endswith("/config") and p]
        return {d["default_entity_id"]: (platform, d) for platform, d in found}


class HomeAssistant:
    def __init__(self, url):
        self._url = url
        self._token = None
        client = url + "/"
        flow = self._post("/auth/login_flow", {"client_id": client, "handler": ["homeassistant", None],
                                               "redirect_uri": client})
        step = self._post("/auth/login_flow/" + flow["flow_id"],
                          {"client_id": client, "username": "tester", "password": "tester"})
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": step["result"],
                                       "client_id": client}).encode()
        with urllib.request.urlopen(url + "/auth/token", form) as answer:
            self._token = json.load(answer)["access_token"]

    def _request(self, path, body):
        request = urllib.request.Request(self._url + path, body, {"Content-Type": "application/json"})
        if self._token:
            request.add_header("Authorization", "Bearer " + self._token)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def _post(self, path, value):
        return self._request(path, json.dumps(value).encode())

    def states(self):
        return {state["entity_id"]: state for state in self._request("/api/states", None)}

    def call(self, service, entity_id, **data):
        self._post("/api/services/" + service.replace(".", "/"), {"entity_id": entity_id, **data})


def expected_state(broker, platform, document):
    """What Home Assistant should show; None: anything."""
    if platform in ("button", "event"):
        return None
    value = jinja2.Environment().from_string(document["value_template"]).render(
        value_json=json.loads(broker.at(document["state_topic"]) or "{}"))
    if any(broker.at(item["topic"]) != "online" for item in document["availability"]):
        return "unavailable"
    if value == "None":
        return "unknown"
    if platform in ("binary_sensor", "switch"):
        return {"True": "on", "False": "off"}[value]
    return value


def is_same(shown, expected):
    if expected is None:
        return shown != "unavailable"
    try:
        # Shown with the entity's precision, and the broker may be a sample ahead.
        return abs(float(shown) - float(expected)) <= max(0.5, 0.05 * abs(float(expected)))
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(shown).timestamp()) == int(datetime.fromisoformat(expected).timestamp())
    except ValueError:
        pass
    return shown == expected


def eventually(what, check):
    last = "?"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        last = check()
        if not last:
            return
        time.sleep(0.5)
    sys.exit(f"{what}: {last}")


def differences(broker, home, seen):
    """What is wrong now, but for entities that have been right since the set `seen` was made: values move on."""
    states = home.states()
    wrong = []
    documents = broker.documents()
    if len(documents) < 100:
        return f"only {len(documents)} documents"
    for entity_id, (platform, document) in sorted(documents.items()):
        if not document.get("enabled_by_default", True):
            if entity_id in states:
                wrong.append(f"{entity_id} should be switched off")
            continue
        expected = expected_state(broker, platform, document)
        shown = states.get(entity_id, {}).get("state")
        if shown is not None and is_same(shown, expected):
            seen.add(entity_id)
        elif entity_id not in seen:
            wrong.append(f"{entity_id} shows {shown}, expected {expected}")
    return "; ".join(wrong)


def compare(what, broker, home):
    seen = set()
    eventually(what, lambda: differences(broker, home, seen))


def turn(broker, home, service, entity_id, data, topic, key, value):
    """Calls a service and waits until the broker and Home Assistant both show what it does."""
    home.call(service, entity_id, **data)
    eventually(f"{service} {entity_id}",
               lambda: "" if json.loads(broker.at(topic) or "{}").get(key) == value
               else f"{topic} {key} is {json.loads(broker.at(topic) or '{}').get(key)}, expected {value}")


def main():
    url, port, password_file = sys.argv[1:]
    with open(password_file, encoding="utf-8") as file:
        broker = Broker(int(port), file.read().strip())
    home = HomeAssistant(url)
    compare("entities", broker, home)
    settings = "twc/policy/settings"
    override = "twc/policy/override/state"
    turn(broker, home, "select.select_option", "select.twc_controller_mode", {"option": "min_solar"}, settings, "mode",
         "min_solar")
    turn(broker, home, "number.set_value", "number.twc_controller_reserve_w", {"value": 250}, settings, "reserve_w", 250)
    turn(broker, home, "switch.turn_off", "switch.twc_controller_guests", {}, settings, "guests", False)
    turn(broker, home, "button.press", "button.twc_controller_boost_1h", {}, override, "active", True)
    turn(broker, home, "button.press", "button.twc_controller_override_clear", {}, override, "active", False)
    turn(broker, home, "number.set_value", "number.twc_controller_override_a", {"value": 8}, override, "amps", 8)
    turn(broker, home, "switch.turn_on", "switch.twc_bus_estop", {}, "twc/bus/state", "estop", True)
    turn(broker, home, "switch.turn_off", "switch.twc_bus_estop", {}, "twc/bus/state", "estop", False)
    compare("entities after the knobs were turned", broker, home)
    print(f"{len(broker.documents())} entities compared")


main()
