#pragma once

#include <optional>

#include "house-sim/random.hpp"

namespace house_sim {

enum class Sky { clear, broken, overcast };

/// How much of the clear-sky power gets through: a semi-Markov chain of sunny and clouded spells whose edges take
/// 8 to 40 s, as cumulus over a roof does.
class Clouds {
public:
    Clouds(Sky sky, std::uint64_t seed);

    void set_sky(Sky sky);
    Sky sky() const { return sky_; }
    /// A cloud by hand: `factor` of the clear-sky power for `lasts_s` seconds.
    void force(double factor, double lasts_s);

    void advance(double day_s);
    double factor() const { return factor_; }

private:
    void begin_spell();
    void move_edge(double seconds);

    Random random_;
    Sky sky_;
    bool clouded_ = false;
    double factor_ = 1;
    double goal_ = 1;
    double slope_per_s_ = 0;
    double spell_left_s_ = 0;
    double forced_left_s_ = 0;
};

/// Power of a cloudless sky at that second of the day, W.
double clear_sky_w(double peak_w, double sunrise_s, double sunset_s, double second_of_day);

}  // namespace house_sim
