// The flows of deploy/node-red, as they are shipped, in a real Node-RED beside the real services, a real broker and the
// simulated house: all are deployed through the admin API, and what they do is seen on MQTT.
//
// usage: node flows_test.mjs SOURCE_FOLDER BUILD_FOLDER      (build/node-red is made by install.sh)

import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync, mkdirSync} from "node:fs";
import {createServer} from "node:http";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {join} from "node:path";

const [source, build] = process.argv.slice(2);
const require = createRequire(join(build, "node-red/package.json"));
const mqtt = require("mqtt");
const WebSocket = require("ws");

const scratch = mkdtempSync(join(tmpdir(), "twc-mqtt-node-red."));
const children = [];

// ---- what every step needs ------------------------------------------------------------------------------------

async function eventually(what, predicate, seconds = 30) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const result = await predicate();
        if (result) {
            return result;
        }
        assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
        await new Promise(resolve => setTimeout(resolve, 20));
    }
}

// A child that ends with this process, come what may.
function start(name, command, environment = {}) {
    const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", ...command],
        {env: {...process.env, ...environment}, stdio: ["ignore", "pipe", "pipe"]});
    const started = {name, child, output: "", ended: false};
    for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", data => { started.output += data; });
    }
    child.on("exit", () => { started.ended = true; });
    child.on("error", problem => { started.output += problem; started.ended = true; });
    children.push(started);
    return started;
}

async function stop(started) {
    if (!started.ended) {
        started.child.kill("SIGTERM");
        const killer = setTimeout(() => started.child.kill("SIGKILL"), 15000);
        await new Promise(resolve => started.child.on("exit", resolve));
        clearTimeout(killer);
    }
}

// A web server that keeps what it is told and answers what it is told to.
async function listen(answer) {
    const server = createServer((request, response) => {
        let body = "";
        request.on("data", data => { body += data; });
        request.on("end", () => response.end(answer(request, body)));
    });
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
    return {server, url: `http://127.0.0.1:${server.address().port}/`};
}

async function freePort() {
    const {server} = await listen(() => "");
    const {port} = server.address();
    await new Promise(resolve => server.close(resolve));
    return port;
}

// ---- the flows as files ---------------------------------------------------------------------------------------

const files = readdirSync(join(source, "deploy/node-red")).filter(name => name.endsWith(".json")).sort();
const flows = Object.fromEntries(files.map(name => [name, JSON.parse(readFileSync(join(source, "deploy/node-red", name)))]));

function checkFiles() {
    assert.equal(files.length, 5);
    const core = ["tab", "comment", "inject", "function", "debug", "rbe", "http request", "mqtt in", "mqtt out", "mqtt-broker"];
    const brokers = new Set();
    const ids = new Set();
    for (const [file, nodes] of Object.entries(flows)) {
        for (const node of nodes) {
            assert.ok(core.includes(node.type) || (file === "page.json" && node.type.startsWith("ui-")),
                `${file} needs a node that Node-RED does not bring: ${node.type}`);
            if (node.type === "mqtt-broker") {
                brokers.add(JSON.stringify(node));
                continue;
            }
            assert.ok(!ids.has(node.id), `${file}: the id ${node.id} is there twice`);
            ids.add(node.id);
            assert.equal(node.credentials, undefined, `${file}: ${node.name} has credentials`);
            if (node.type.startsWith("mqtt ")) {
                assert.match(node.topic, /^twc\//);
                assert.ok(node.type === "mqtt in" || (node.retain === "false" && node.topic.endsWith("/set")),
                    `${file}: ${node.topic}`);
            }
        }
    }
    assert.equal(brokers.size, 1, "all flows share one broker node");
    const broker = JSON.parse([...brokers][0]);
    assert.deepEqual([broker.broker, broker.port, broker.credentials.user, broker.credentials.password],
        ["${TWC_MQTT_HOST}", "${TWC_MQTT_PORT}", "${TWC_MQTT_USER}", "${TWC_MQTT_PASSWORD}"]);
    return broker.id;
}

// ---- the stack ------------------------------------------------------------------------------------------------

async function startStack() {
    const logs = join(scratch, "stack");
    mkdirSync(logs);
    const demo = start("demo.sh", [join(source, "deploy/demo.sh"), "--build-dir", build, "--no-view", "--keep-logs", logs]);
    const hints = await eventually("the stack runs", () => {
        assert.ok(!demo.ended, `the stack did not start:\n${demo.output}`);
        return demo.output.match(/The stack runs, in (\S+)\. In another/);
    }, 90);
    const [, port] = readFileSync(join(hints[1], "broker/mosquitto.conf"), "utf8").match(/^listener (\d+) 127.0.0.1$/m);
    return {folder: hints[1], port: Number(port)};
}

// ems-bridge starts anew with a pushed meter alone, and a price.
async function pushMeterAlone(stack) {
    const file = join(stack.folder, "ems-bridge.yaml");
    writeFileSync(file, "sources:\n  - {name: push, type: push, roles: [grid], stale_after_s: 20}\n"
        + "tariffs:\n  house: {kind: fixed, currency: EUR, import_price: 0.11, export_price: 0.08}\n");
    process.kill(Number(readFileSync(join(stack.folder, "ems-bridge.pid"))), "SIGTERM");
    await stack.eventually("twc/service/ems-bridge/status", text => text === "offline");
    start("ems-bridge", [join(stack.folder, "ems-bridge.sh")]);
    await stack.eventually("twc/service/ems-bridge/status", text => text === "online");
}

function passwordOf(stack, user) {
    return readFileSync(join(stack.folder, "secrets", user, "password"), "utf8").trim();
}

async function listenTo(stack) {
    const client = await mqtt.connectAsync({host: "127.0.0.1", port: stack.port, username: "cli", password: passwordOf(stack, "cli")});
    stack.client = client;
    stack.last = new Map();
    stack.all = [];
    client.on("message", (topic, payload, packet) => {
        stack.last.set(topic, payload.toString());
        stack.all.push({topic, text: payload.toString(), retained: packet.retain});
    });
    await client.subscribeAsync("twc/#");
    stack.eventually = (topic, predicate, seconds) => eventually(`${topic}, last ${stack.last.get(topic)}`, () => {
        const text = stack.last.get(topic);
        return text !== undefined && predicate(topic.endsWith("/state") ? JSON.parse(text) : text);
    }, seconds);
    stack.say = (topic, text) => client.publishAsync(topic, text, {qos: 1});
}

// ---- Node-RED -------------------------------------------------------------------------------------------------

async function startNodeRed(environment) {
    for (let tries = 3; tries > 0; --tries) { // somebody else may take the port first
        const port = await freePort();
        const nodeRed = start("Node-RED", [process.execPath, require.resolve("node-red/red.js"), "--settings",
            join(source, "tests/node-red/settings.cjs")],
        {...environment, NODE_RED_PORT: String(port), NODE_RED_FOLDER: join(scratch, "node-red")});
        const url = `http://127.0.0.1:${port}`;
        await eventually("Node-RED answers", async () => nodeRed.ended
            || (/Started flows/.test(nodeRed.output) && (await fetch(`${url}/flows`).catch(() => ({}))).ok), 60);
        if (!nodeRed.ended) {
            return {...nodeRed, url, process: nodeRed};
        }
        assert.match(nodeRed.output, /port in use/, nodeRed.output);
    }
    assert.fail("Node-RED found no port");
}

async function deploy(nodeRed, nodes) {
    const answer = await fetch(`${nodeRed.url}/flows`, {
        method: "POST",
        headers: {"Content-Type": "application/json", "Node-RED-API-Version": "v1", "Node-RED-Deployment-Type": "full"},
        body: JSON.stringify(nodes),
    });
    assert.equal(answer.status, 204, await answer.text());
}

function nodeIn(file, name) {
    const node = flows[file].find(candidate => candidate.name === name);
    assert.ok(node, `${file} has no node "${name}"`);
    return node;
}

async function press(nodeRed, file, name) {
    const answer = await fetch(`${nodeRed.url}/inject/${nodeIn(file, name).id}`, {method: "POST"});
    assert.equal(answer.status, 200);
}

// ---- what is to be seen ---------------------------------------------------------------------------------------

async function everyFlowDeploys(nodeRed) {
    for (const [file, nodes] of Object.entries(flows)) {
        await deploy(nodeRed, nodes);
        const deployed = await (await fetch(`${nodeRed.url}/flows`)).json();
        assert.equal(deployed.length, nodes.length, file);
    }
    const all = new Map(Object.values(flows).flat().map(node => [node.id, node]));
    await deploy(nodeRed, [...all.values()]);
    await eventually("the flows are connected to the broker", () => /Connected to broker/.test(nodeRed.process.output));
    assert.doesNotMatch(nodeRed.process.output, /missing types|unknown:/i);
}

async function overrideIsObeyed(nodeRed, stack) {
    const before = Date.now();
    await press(nodeRed, "override-for-an-hour.json", "16 A for an hour");
    await stack.eventually("twc/policy/override/state", state => {
        const hours = (new Date(state.until) - before) / 3600000;
        return state.active && state.amps === 16 && hours > 0.99 && hours < 1.02;
    });
    await stack.eventually("twc/charger/7744/granted_a", text => Number(text) >= 15);
}

async function overrideIsCleared(nodeRed, stack) {
    await press(nodeRed, "override-for-an-hour.json", "no charging for an hour");
    await stack.eventually("twc/policy/override/state", state => state.active && state.amps === 0);
    await press(nodeRed, "override-for-an-hour.json", "back to the mode");
    await stack.eventually("twc/policy/override/state", state => !state.active);
}

async function meterArrives(stack, meter) {
    await stack.eventually("twc/ems/state", state => state.grid_w === -3210.5);
    const answers = [["-1500", -1500], ['{"total_act_power": 421}', 421]];
    for (const [answer, watts] of answers) {
        meter.answer = answer;
        await stack.eventually("twc/ems/state", state => state.grid_w === watts);
    }
    meter.answer = "ERROR"; // never 0, never the value of before as if it were new
    const asked = meter.asked;
    await eventually("the meter is asked on", () => meter.asked >= asked + 2);
    const from = stack.all.length;
    await eventually("and on", () => meter.asked >= asked + 4);
    assert.ok(!stack.all.slice(from).some(message => message.topic === "twc/ems/input/grid_power/set"));
    meter.answer = "-6000";
    await stack.eventually("twc/ems/state", state => state.grid_w === -6000);
}

async function sessionEndIsTold(stack, told) {
    await stack.eventually("twc/charger/7744/power_w", text => Number(text) > 1000, 60);
    await stack.say("twc/house-sim/plug/set", "7744 off");
    await eventually("the end is told", () => told.length > 0);
    assert.match(told[0].body, /^Charger 7744: \d+\.\d kWh$/);
    assert.equal(told[0].title, "Charging ended");
    assert.equal(told.length, 1, "once, and no other event");
}

async function cheapPriceIsUsed(stack) {
    await stack.eventually("twc/policy/state", state => state.mode === "fast");
    const from = stack.all.length;
    const ems = await mqtt.connectAsync({host: "127.0.0.1", port: stack.port, username: "ems-bridge", password: passwordOf(stack, "ems-bridge")});
    const price = JSON.parse(stack.last.get("twc/ems/tariff/state"));
    await ems.publishAsync("twc/ems/tariff/state", JSON.stringify({...price, import_price: null}), {qos: 1});
    await ems.publishAsync("twc/ems/tariff/state", JSON.stringify({...price, import_price: 0.31}), {qos: 1});
    await stack.eventually("twc/policy/state", state => state.mode === "solar");
    await ems.endAsync();
    const modes = stack.all.slice(from).filter(message => message.topic === "twc/policy/mode/set").map(message => message.text);
    assert.deepEqual(modes, ["solar"], "an unknown price changes nothing");
}

// A page in a Chromium without a screen, spoken to in its own debugging language.
async function openPage(url) {
    const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
    if (!chromium) {
        return null;
    }
    const browser = start("Chromium", [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--remote-debugging-port=0", `--user-data-dir=${join(scratch, "chromium")}`, "about:blank"]);
    const [, address] = await eventually("Chromium starts", () => browser.output.match(/DevTools listening on ws:\/\/([^/\s]+)/), 60);
    const [page] = (await (await fetch(`http://${address}/json`)).json()).filter(target => target.type === "page");
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
    const waiting = new Map();
    socket.on("message", data => {
        const answer = JSON.parse(data);
        waiting.get(answer.id)?.(answer.result);
    });
    const command = (method, params) => new Promise(resolve => {
        const id = waiting.size + 1;
        waiting.set(id, resolve);
        socket.send(JSON.stringify({id, method, params}));
    });
    await command("Page.navigate", {url});
    return async expression => (await command("Runtime.evaluate", {expression, returnByValue: true})).result.value;
}

async function pageWorks(nodeRed, stack) {
    const url = `${nodeRed.url}/dashboard/charging`;
    assert.equal((await fetch(url)).status, 200);
    const evaluate = await openPage(url);
    if (!evaluate) {
        return "answers; not looked at: there is no Chromium here";
    }
    const shown = () => evaluate("document.body ? document.body.innerText : ''");
    await eventually("the page shows the meter", async () => /6000 W to the grid/.test(await shown()), 60);
    assert.match(await shown(), /Back to the mode/i);
    await evaluate("[...document.querySelectorAll('button')].find(b => /16 A for an hour/i.test(b.innerText)).click()");
    await stack.eventually("twc/policy/override/state", state => state.active && state.amps === 16);
    return "answers, and works in Chromium";
}

// ---- all of it ------------------------------------------------------------------------------------------------

async function main() {
    const brokerId = checkFiles();
    const meter = {answer: '{"total_act_power": -3210.5}', asked: 0};
    const meterServer = await listen(() => { ++meter.asked; return meter.answer; });
    const told = [];
    const tellServer = await listen((request, body) => { told.push({title: request.headers.title, body}); return "ok"; });

    const stack = await startStack();
    await listenTo(stack);
    await pushMeterAlone(stack);
    const nodeRed = await startNodeRed({
        TWC_MQTT_HOST: "127.0.0.1", TWC_MQTT_PORT: String(stack.port), TWC_MQTT_USER: "nodered",
        TWC_MQTT_PASSWORD: passwordOf(stack, "nodered"), TWC_METER_URL: meterServer.url, TWC_NOTIFY_URL: tellServer.url,
    });
    const step = async (words, action) => {
        const result = await action();
        console.log(`${words}${result ? `: ${result}` : ""}`);
    };
    await step("every flow deploys", () => everyFlowDeploys(nodeRed));
    await step("a meter of another make arrives in ems/state", () => meterArrives(stack, meter));
    await step("charging fast while it is cheap", () => cheapPriceIsUsed(stack));
    await step("an override for an hour is obeyed", () => overrideIsObeyed(nodeRed, stack));
    await step("the end of a session is told", () => sessionEndIsTold(stack, told));
    await step("an override is cleared", () => overrideIsCleared(nodeRed, stack));
    await step("the page", () => pageWorks(nodeRed, stack));

    const stored = readFileSync(join(scratch, "node-red/flows.json"), "utf8") + (existsSync(join(scratch, "node-red/flows_cred.json"))
        ? readFileSync(join(scratch, "node-red/flows_cred.json"), "utf8") : "");
    assert.ok(!stored.includes(passwordOf(stack, "nodered")), "the password is in no file of Node-RED");
    assert.ok(JSON.parse(stored.slice(0, stored.lastIndexOf("]") + 1)).some(node => node.id === brokerId));
    await stack.client.endAsync(true);
    meterServer.server.close();
    tellServer.server.close();
}

let failure;
try {
    await main();
} catch (problem) {
    failure = problem;
}
for (const child of children.reverse()) {
    await stop(child);
}
if (failure) {
    console.log(`FAILED: ${failure.stack ?? failure}`);
    for (const child of children) {
        console.log(`---- ${child.name}\n${child.output.split("\n").slice(-25).join("\n")}`);
    }
}
rmSync(scratch, {recursive: true, force: true, maxRetries: 5});
process.exit(failure ? 1 : 0);
