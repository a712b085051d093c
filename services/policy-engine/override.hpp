#pragma once

#include <string>
#include <string_view>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// A command on `policy/override/set` or `policy/override/<id>/set`.
struct OverrideCommand {
    std::optional<Override> order;       ///< None: clear.
    std::optional<std::string> charger;  ///< Only JSON can name one.
};

/// One grammar for all (topics.md 3), white space and letter case free:
///
///     16 | 16.5A | off | max [for]      30m | 90s | 2h | 1h30m | until=22:00 | until=2026-01-31T22:00:00+01:00
///     24,3600                           amps,seconds
///     clear | auto | none
///     {"amps":16|"max"|"off", "duration_s":1800 | "until":"22:00", "charger":"7744"}
///
/// The end is kept as an absolute time, so that it survives restarts. Throws service::Rejected.
OverrideCommand parse_override(std::string_view payload, WallTime now, const std::string& source);

/// `4200`, `4200 2h`, `4200 until=22:00`, `{"limit_w":4200,"until":…}`, `clear`. None: clear. Throws service::Rejected.
std::optional<TimedLimit> parse_timed_limit(std::string_view payload, WallTime now);

/// The order that holds for a charger: its own before that for all; none when they are absent or over.
const Override* active_override(const Settings& settings, const ChargerSettings* charger, WallTime now);

/// Removes what has ended, a power limit for a time among it; true if something was removed.
bool drop_ended_overrides(Settings& settings, WallTime now);

}  // namespace policy_engine
