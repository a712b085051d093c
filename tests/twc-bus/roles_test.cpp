// The roles listen and slave on one pair of wires with the role master, with real units' models and with noise.

#include <random>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "contract/messages.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support/instrumented.hpp"
#include "support/temporary_folder.hpp"
#include "twc-bus/observer.hpp"
#include "twc-bus/slave_bus.hpp"
#include "twc-bus/twc_bus.hpp"
#include "vectors.hpp"
#include "wire.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using nlohmann::json;
using wire::Wire;

namespace {

constexpr UnitId own_id = 0x6A6A;

/// One house with a broker branch of its own.
class House {
public:
    House(scheduling::SimulatedLoop& loop, scheduling::WorkerFactory& workers, messaging::InMemoryBroker& broker,
          const std::string& base)
        : loop_(loop),
          broker_(broker),
          client_(broker.connect(base)),
          people_(broker.connect(base + "-people")),
          environment{loop, workers, *client_, contract::Topics(base), "twc-bus", /*flat_topics=*/true} {
        broker.tap([this, base](const std::string& sender, const messaging::Publication& publication) {
            if (sender == base) {
                published.push_back(publication);
            }
        });
    }

    contract::BusState state() const {
        return contract::from_text<contract::BusState>(*broker_.retained(environment.topics.bus_state()));
    }
    contract::ChargerState charger(const std::string& id) const {
        return contract::from_text<contract::ChargerState>(*broker_.retained(environment.topics.charger_state(id)));
    }
    std::string availability(const std::string& id) const {
        return broker_.retained(environment.topics.charger_availability(id)).value_or("");
    }
    json metrics() const { return json::parse(*broker_.retained(environment.topics.service_metrics("twc-bus"))); }
    std::vector<json> events(const std::string& topic, const std::string& type) const {
        std::vector<json> found;
        for (const auto& publication : published) {
            if (publication.topic == topic) {
                auto event = json::parse(publication.payload);
                if (event["event_type"] == type) {
                    found.push_back(std::move(event));
                }
            }
        }
        return found;
    }
    std::vector<json> service_events(const std::string& type) const {
        return events(environment.topics.service_event("twc-bus"), type);
    }
    void send(const std::string& topic, const std::string& payload) {
        people_->publish({.topic = topic, .payload = payload, .retained = false, .qos = 1});
        loop_.run_for(1ms);
    }

private:
    scheduling::SimulatedLoop& loop_;
    messaging::InMemoryBroker& broker_;
    std::unique_ptr<messaging::InMemoryClient> client_;
    std::unique_ptr<messaging::InMemoryClient> people_;

public:
    service::Environment environment;
    std::vector<messaging::Publication> published;
};

/// A master, a slave and a listener of ours on one pair of wires.
struct World {
    World() {
        master_config.lines = {{.name = "", .port = "/dev/master", .role = {}, .listen = 0ms}};
        master_config.limits = {.wiring_ca = 4000, .charger_max_ca = 3200, .charger_min_ca = 600, .failsafe_ca = 600};
        master_config.state_file = folder / "master.json";
    }

    void start_master() {
        master.emplace(master_config, master_house.environment, std::vector<twc_bus::ByteLink*>{&master_port});
    }
    void start_slave() { slave.emplace(slave_config, slave_house.environment, slave_port); }
    void start_listener() { listener.emplace(listen_config, listen_house.environment, listen_port); }
    void start_all() {
        start_listener();
        start_slave();
        start_master();
    }
    void lease(const json& chargers, std::chrono::seconds duration) {
        for (auto passed = 0s; passed < duration; passed += 5s) {
            master_house.send("house/bus/limit/set",
                              json{{"ttl_s", 30}, {"seq", ++seq}, {"chargers", chargers}}.dump());
            loop.run_for(5s);
        }
    }

    support::TemporaryFolder folder;
    scheduling::SimulatedLoop loop{scheduling::WallTime{std::chrono::seconds(1'790'000'000)}};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    Wire line{loop};
    Wire::Port& master_port = line.add_port();
    Wire::Port& slave_port = line.add_port();
    Wire::Port& listen_port = line.add_port();
    House master_house{loop, workers, broker, "house"};
    House slave_house{loop, workers, broker, "annex"};
    House listen_house{loop, workers, broker, "watch"};
    Config master_config;
    RoleConfig slave_config{.port = "/dev/slave",
                            .mains = {.voltage_v = 230, .phases = 1},
                            .state_file = folder / "slave.json",
                            .slave = {.id = own_id, .rating_ca = 3200}};
    RoleConfig listen_config{.port = "/dev/listen",
                             .mains = {.voltage_v = 230, .phases = 1},
                             .state_file = folder / "listen.json",
                             .slave = {}};
    std::optional<TwcBus> master;
    std::optional<SlaveBus> slave;
    std::optional<Observer> listener;
    std::int64_t seq = 0;
};

bool is_slave_frame(const Bytes& body, UnitId id) { return !refusal_to_answer(body, id, 0xFFFF); }

}  // namespace

TEST_CASE("roles: a master and a slave of ours share current over one line, and a listener sees both") {
    for (const int protocol : {1, 2}) {
        CAPTURE(protocol);
        World world;
        world.slave_config.slave.protocol = protocol;
        auto& unit = world.line.add_unit({.id = 0x7744});
        unit.plug_in();
        world.start_all();
        world.lease({{"7744", 16}, {"6a6a", 10}}, 40s);

        // The master knows the slave as one of its chargers.
        CHECK(world.master_house.state().chargers == std::vector<std::string>{"6a6a", "7744"});
        CHECK(world.master_house.state().granted_a == 26);
        CHECK(world.master_house.state().drawn_a == 26);
        CHECK(world.master_house.charger("6a6a").protocol == protocol);
        CHECK(world.master_house.charger("6a6a").limit_a == 10);
        CHECK(world.master_house.charger("6a6a").max_a == 32);
        CHECK(world.master_house.metrics()["lost_answers"].get<int>() <= 1);

        // What the slave says it may use is what the master granted.
        const auto state = world.slave_house.state();
        CHECK(state.role == "slave");
        CHECK(state.link == "ok");
        CHECK(state.master == "7777");
        CHECK(state.granted_a == 10);
        CHECK(state.drawn_a == 10);
        CHECK(state.limit_a == 32);
        CHECK(state.chargers == std::vector<std::string>{"6a6a", "7744"});
        CHECK(state.reason == "slave 6a6a: master 7777 grants 10 A");
        CHECK_FALSE(state.lease_s);
        const auto own = world.slave_house.charger("6a6a");
        CHECK(own.limit_a == 10);
        CHECK(own.granted_a == 10);
        CHECK(own.current_a == 10);
        CHECK(own.power_w == 2300);
        CHECK(own.state == "charging");
        CHECK(world.slave_house.availability("6a6a") == "online");
        CHECK(world.slave_house.charger("7744").limit_a == 16);

        // The listener sees what both say.
        const auto seen = world.listen_house.state();
        CHECK(seen.role == "listen");
        CHECK(seen.link == "ok");
        CHECK(seen.master == "7777");
        CHECK(seen.chargers == std::vector<std::string>{"6a6a", "7744"});
        CHECK(seen.granted_a == 26);
        CHECK(seen.drawn_a == 26);
        CHECK(seen.reason == "listening: master 7777 with 2 chargers");
        CHECK(world.listen_house.charger("6a6a").granted_a == 10);
        CHECK(world.listen_house.charger("6a6a").limit_a == 10);
        CHECK(world.listen_house.charger("7744").current_a == 16);
        CHECK(world.listen_house.charger("7744").plugged == true);
        CHECK(world.listen_house.charger("7744").voltage_l1_v == 230);
        CHECK(world.listen_house.charger("7744").serial == "A18F0002433");
        CHECK(world.listen_house.charger("7744").firmware == "4.5.3");
        CHECK(world.listen_house.charger("7744").order_code == 0);
        CHECK(world.listen_port.written.empty());

        // Every change arrives, also downwards to nothing.
        world.lease({{"7744", 6}, {"6a6a", 24.5}}, 20s);
        CHECK(world.slave_house.charger("6a6a").limit_a == 24.5);
        world.lease({{"7744", 16}, {"6a6a", 0}}, 20s);
        CHECK(world.slave_house.charger("6a6a").limit_a == 0);
        CHECK(world.slave_house.state().granted_a == 0);
        CHECK(world.slave_house.state().reason == "slave 6a6a: master 7777 grants nothing");
        world.lease({{"7744", 6}, {"6a6a", 12}}, 20s);
        CHECK(world.slave_house.charger("6a6a").limit_a == 12);
    }
}

TEST_CASE("roles: when the lease of the master lapses, its fail-safe arrives at the slave") {
    World world;
    world.start_all();
    world.lease({{"6a6a", 20}}, 30s);
    REQUIRE(world.slave_house.state().granted_a == 20);

    world.loop.run_for(31s);

    CHECK(world.master_house.state().failsafe);
    CHECK(world.slave_house.state().granted_a == 6);
    CHECK(world.slave_house.charger("6a6a").limit_a == 6);
}

TEST_CASE("roles: when the master is gone the slave's grant is 0 after 25 s, and comes back with it") {
    World world;
    world.start_all();
    world.lease({{"6a6a", 20}}, 30s);

    world.master.reset();
    world.loop.run_for(20s);
    CHECK(world.slave_house.state().granted_a == 20);
    CHECK(world.slave_house.state().link == "no_answer");
    world.loop.run_for(6s);
    CHECK(world.slave_house.state().granted_a == 0);
    CHECK(world.slave_house.charger("6a6a").limit_a == 0);
    CHECK(world.slave_house.state().reason == "slave 6a6a: master 7777 is gone, nothing is granted");
    CHECK(world.slave_house.availability("6a6a") == "offline");
    CHECK_FALSE(world.listen_house.state().master);
    world.loop.run_for(60s);
    CHECK(world.listen_house.state().reason == "listening: no master is heard, 1 charger looks for one");

    world.start_master();
    world.lease({{"6a6a", 18}}, 30s);
    CHECK(world.slave_house.state().granted_a == 18);
    CHECK(world.slave_house.availability("6a6a") == "online");
}

TEST_CASE("roles: the slave tells of less at once, not with the next second") {
    World world;
    world.start_all();
    world.lease({{"6a6a", 20}}, 30s);
    world.loop.run_for(2500ms);
    world.master_house.send("house/bus/estop/set", "stop");
    world.loop.run_for(1100ms);
    CHECK(world.slave_house.state().granted_a == 0);
}

TEST_CASE("roles: a slave that draws less than it is granted leaves the rest visible to the master") {
    World world;
    world.slave_config.slave.drawn_ca = 700;
    world.start_all();
    world.lease({{"6a6a", 20}}, 30s);
    CHECK(world.master_house.charger("6a6a").current_a == 7);
    CHECK(world.master_house.charger("6a6a").limit_a == 20);
    CHECK(world.slave_house.state().granted_a == 20);
    CHECK(world.slave_house.state().drawn_a == 7);
}

TEST_CASE("roles: a slave with the ID of the master takes another and says so") {
    World world;
    world.slave_config.slave.id = 0x7777;
    world.start_all();
    world.loop.run_for(60s);
    world.lease({{"7778", 14}}, 40s);

    CHECK(world.slave_house.state().granted_a == 14);
    CHECK(world.slave_house.charger("7778").limit_a == 14);
    CHECK(world.slave_house.state().reason.find("7777 is taken") != std::string::npos);
    CHECK(world.slave_house.availability("7777") == "offline");
    CHECK(world.slave_house.service_events("id_conflict").size() == 1);
}

TEST_CASE("roles: limits and the emergency stop are refused visibly, with the reason") {
    for (const auto* role : {"listen", "slave"}) {
        CAPTURE(role);
        World world;
        world.start_all();
        auto& house = std::string(role) == "listen" ? world.listen_house : world.slave_house;
        const auto topics = house.environment.topics;
        house.send(topics.bus_limit_set(), R"({"ttl_s":30,"seq":1,"chargers":{"6a6a":10}})");
        house.send(topics.bus_estop_set(), "stop");

        const auto refused = house.service_events("command_rejected");
        REQUIRE(refused.size() == 2);
        CHECK(refused[0]["topic"] == topics.bus_limit_set());
        CHECK(refused[0]["reason"].get<std::string>().find(role) != std::string::npos);
        CHECK(refused[1]["expected"].get<std::string>().find("bus.role: master") != std::string::npos);
    }
}

TEST_CASE("roles: a listener counts sessions and energy, and keeps both and the emergency stop over a restart") {
    World world;
    auto& unit = world.line.add_unit({.id = 0x7744, .wants_ca = 1000});
    unit.plug_in();
    {
        SavedState before;
        before.estop = true;
        before.chargers[0x7744] = {.protocol = 2, .granted_ca = 1000, .linked = true, .totals = {.energy_kwh = 100}};
        std::ofstream(world.listen_config.state_file) << to_json_text(before);
    }
    world.start_listener();
    world.start_master();
    world.lease({{"7744", 16}}, 3600s);
    const auto state = world.listen_house.charger("7744");
    CHECK(*state.energy_kwh == doctest::Approx(102.3).epsilon(0.002));
    CHECK(*state.session_kwh == doctest::Approx(2.3).epsilon(0.05));
    const auto topic = world.listen_house.environment.topics.charger_event("7744");
    CHECK(world.listen_house.events(topic, "session_started").size() == 1);

    world.listener.reset();
    CHECK(world.listen_house.availability("7744") == "offline");
    const auto saved = saved_state_from_text(config::read_file(world.listen_config.state_file));
    CHECK(saved.estop);
    CHECK_FALSE(saved.chargers.at(0x7744).linked);
    world.start_listener();
    CHECK(*world.listen_house.charger("7744").energy_kwh >= *state.energy_kwh);

    unit.unplug();
    world.lease({{"7744", 16}}, 60s);
    CHECK(world.listen_house.charger("7744").plugged == false);
    CHECK(world.listen_house.events(topic, "session_ended").size() == 1);
    CHECK(world.listen_port.written.empty());
}

TEST_CASE("roles: the energy of a slave is kept over a restart") {
    World world;
    world.start_all();
    world.lease({{"6a6a", 20}}, 1800s);
    const double before = *world.slave_house.charger("6a6a").energy_kwh;
    CHECK(before == doctest::Approx(2.3).epsilon(0.03));
    world.slave.reset();
    world.start_slave();
    CHECK(*world.slave_house.charger("6a6a").energy_kwh >= before);
    CHECK(world.slave_house.state().granted_a == 0);  // it asks anew
    world.lease({{"6a6a", 20}}, 20s);
    CHECK(world.slave_house.state().granted_a == 20);
}

TEST_CASE("roles: a listener shows a lost line and the way back") {
    World world;
    world.start_all();
    world.loop.run_for(2s);
    world.listen_port.lose();
    world.loop.run_for(2s);
    CHECK(world.listen_house.state().link == "down");
    CHECK(world.listen_house.state().reason == "/dev/test: lost");
}

TEST_CASE("roles: a listener says when bytes come that are no frames, and when nobody speaks") {
    World world;
    world.start_listener();
    world.loop.run_for(3s);
    CHECK(world.listen_house.state().link == "no_answer");
    CHECK(world.listen_house.state().reason == "listening: nobody is heard");
    for (int i = 0; i < 10; ++i) {
        world.line.say_raw({0x12, 0xFF, 0x00, 0x7C});
        world.loop.run_for(1s);
    }
    CHECK(world.listen_house.state().reason.find("no frame is among them") != std::string::npos);
}

TEST_CASE("roles: a real master is shown with the car of its own") {
    World world;
    world.start_listener();
    for (int i = 0; i < 10; ++i) {
        world.line.say(encode_message(MasterHeartbeat{.master = 0x3456, .slave = 0x2433, .master_plugged = true}));
        world.loop.run_for(100ms);
        world.line.say(vectors::body("A21"));
        world.loop.run_for(400ms);
        world.line.say(encode_message(PowerReport{.sender = 0x3456,
                                                  .lifetime_kwh = 5000,
                                                  .volts = {231, 0, 0},
                                                  .half_amps = std::array<std::uint8_t, 3>{24, 0, 0}}));
        world.loop.run_for(500ms);
    }
    const auto own = world.listen_house.charger("3456");
    CHECK(own.current_a == 12);
    CHECK(own.plugged == true);
    CHECK(own.power_w == 231 * 12);
    CHECK(own.lifetime_kwh == 5000);
    CHECK_FALSE(own.limit_a);
    CHECK(world.listen_house.state().drawn_a == 12);
    CHECK(world.listen_house.state().reason == "listening: master 3456 with 1 charger");
    CHECK(world.listen_house.charger("2433").limit_a == 6);
}

TEST_CASE("roles: an error reported by the master silences the slave until it is started again, and shows") {
    World world;
    world.start_slave();
    for (int i = 0; i < 3; ++i) {
        world.line.say(
            encode_message(MasterHeartbeat{.master = 0x7777, .slave = own_id, .command = 5, .limit_ca = 900}));
        world.loop.run_for(1s);
    }
    CHECK(world.slave_house.state().granted_a == 9);
    world.line.say(
        encode_message(MasterHeartbeat{.master = 0x7777, .slave = own_id, .command = 0x02, .limit_ca = 0x0400}));
    world.loop.run_for(2s);
    CHECK(world.slave_house.state().granted_a == 0);
    CHECK(world.slave_house.state().reason.find("units of different ratings") != std::string::npos);
    CHECK(world.slave_house.charger("6a6a").fault);
    const auto written = world.slave_port.written.size();
    world.loop.run_for(60s);
    CHECK(world.slave_port.written.size() == written);

    world.slave.reset();
    world.start_slave();
    world.loop.run_for(5s);
    CHECK(world.slave_port.written.size() > written);
}

TEST_CASE("roles: whatever is on the line, a listener writes nothing and a slave only its own answers") {
    const auto captured = vectors::rows("AB");
    for (unsigned seed = 1; seed <= support::rounds(30); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](std::size_t end) {
            return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
        };
        World world;
        world.slave_config.slave.protocol = 1 + static_cast<int>(seed % 2);
        world.start_listener();
        world.start_slave();
        world.loop.run_for(1s);
        for (int i = 0; i < 1500; ++i) {
            Bytes body;
            switch (below(5)) {
                case 0:  // noise
                    body.resize(1 + below(40));
                    std::ranges::generate(body, [&] { return static_cast<std::uint8_t>(below(256)); });
                    world.line.say_raw(body);
                    break;
                case 1:  // captured
                    world.line.say_raw(vectors::bytes(captured[below(captured.size())].cells[1]));
                    break;
                default: {  // any frame, most of them to or from the slave's ID
                    constexpr std::array<std::uint8_t, 3> types{0xFB, 0xFC, 0xFD};
                    constexpr std::array<std::size_t, 5> lengths{12, 13, 14, 15, 19};
                    body.resize(lengths.at(below(lengths.size())));
                    std::ranges::generate(body, [&] { return static_cast<std::uint8_t>(below(256)); });
                    body[0] = types.at(below(types.size()));
                    body[1] = static_cast<std::uint8_t>(below(2) == 0 ? 0xE0 + below(18) : below(256));
                    const std::size_t at = below(2) == 0 ? 4 : 2;
                    body[at] = 0x6A;
                    body[at + 1] = static_cast<std::uint8_t>(0x6A + below(4));
                    body[6] = static_cast<std::uint8_t>(below(3) == 0 ? below(256) : below(11));
                    if (body[6] == 0x02 && below(4) != 0) {
                        body[6] = 0;  // or it is mute from the start
                    }
                    world.line.say(body);
                }
            }
            world.loop.run_for(std::chrono::milliseconds(below(400)));
            const auto state = world.slave_house.state();
            REQUIRE(state.granted_a <= 32);
            REQUIRE(state.drawn_a <= state.granted_a);
        }
        REQUIRE(world.listen_port.written.empty());
        const auto bodies = world.slave_port.bodies();
        CHECK_FALSE(bodies.empty());
        for (const auto& body : bodies) {
            const auto id = static_cast<UnitId>((body[2] << 8) | body[3]);
            REQUIRE(is_slave_frame(body, id));
            REQUIRE(id >= own_id);
        }
        REQUIRE(world.slave_house.metrics()["frames_refused"] == 0);
    }
}
