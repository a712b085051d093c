// What devices, gateways and people send as JSON or text must never do more than be refused.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/section.hpp"
#include "ems-bridge/mqtt_feed.hpp"
#include "ems-bridge/program.hpp"
#include "ems-bridge/push_input.hpp"
#include "ems-bridge/sources/http_source.hpp"
#include "ems-bridge/sources/powerwall.hpp"
#include "service/service_host.hpp"

namespace {

using namespace ems_bridge;

const char* const everything = R"(
url: http://x/y
ok_when: {ptr: /Head/Status/Code, equals: "0"}
error_text: /Head/Status/Reason
time: {ptr: /t, format: epoch_s}
values:
  pv_w: {ptr: /Body/Data/Site/P_PV, or: 0, max0: true}
  grid_w: {first: [{ptr: /power, unit_ptr: /unit}, {each: /emeters, ptr: /power}], or: null}
  house_w: {sel: /outputs, where: {name: House, ch: "1"}, ptr: /value, or: null}
  battery_w: {div: [{sum: [{ptr: /0/1}, {ptr: ""}]}, {ptr: /state}], only_if: {ok: "true"}, or: null}
)";

struct Programs {
    mapping::Mapping mapping;
    HttpProgram http;
    Programs() {
        const config::Document document(everything, "fuzz.yaml");
        mapping = mapping::read_mapping(document.root());
        http = read_http(document.root());
        document.finish();
    }
};

void check(const Reading& reading) {
    for (const Quantity quantity : all_quantities()) {
        const auto& value = value_of(reading, quantity);
        if (value && !std::isfinite(*value)) {
            std::abort();
        }
    }
}

template <class Attempt>
void attempt(Attempt run) {
    try {
        run();
    } catch (const SourceError&) {  // being refused is the expected outcome
    } catch (const mapping::MappingError&) {
    } catch (const service::Rejected&) {
    } catch (const contract::Invalid&) {
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Programs programs;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    attempt([&] { check(parse_powerwall_aggregates(text)); });
    attempt([&] { static_cast<void>(parse_powerwall_charge(text)); });
    attempt([&] {
        mapping::Answer answer;
        answer.documents[""] = read_document(programs.http.queries.front(), text);
        check(mapping::apply(programs.mapping, answer));
    });
    attempt([&] {
        MqttFeed feed({.topics = {{"", "t"}}, .accept_retained = true}, programs.mapping);
        static_cast<void>(feed.accept({.topic = "t", .payload = text, .retained = false, .now = {}, .wall_now = {}}));
    });
    attempt([&] {
        const PushRules rules{.roles = {Role::grid}, .stale_after = std::chrono::seconds(60), .limits = {}};
        if (!std::isfinite(read_push("grid_power", text, rules, {}, {}).value)) {
            std::abort();
        }
    });
    return 0;
}
