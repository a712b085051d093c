#include "policy-engine/simulation/chart.hpp"

#include <cstdlib>
#include <ctime>
#include <map>
#include <stdexcept>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "policy-engine/simulation/scenario.hpp"
#include "support/local_zone.hpp"

using namespace policy_engine::simulation;

namespace {

/// An element as it stands in the file.
struct Element {
    std::string name;
    std::map<std::string, std::string> attributes;
    std::string text;
};

/// Reads what well-formed XML may hold here, and nothing else: elements, attributes in double quotes, text, the five
/// named entities and decimal ones.
class StrictXml {
public:
    explicit StrictXml(const std::string& text) : rest_(text) { element(); }

    const std::vector<Element>& elements() const { return elements_; }
    bool at_end() {
        skip_space();
        return rest_.empty();
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error(what + " before: " + std::string(rest_.substr(0, 60)));
    }
    void expect(std::string_view token) {
        if (!rest_.starts_with(token)) {
            fail(fmt::format("no {}", token));
        }
        rest_.remove_prefix(token.size());
    }
    void skip_space() { rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \n\t"))); }
    std::string name() {
        const auto length = std::min(rest_.size(), rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyzBV"));
        if (length == 0) {
            fail("no name");
        }
        std::string word(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return word;
    }
    std::string text_until(char end) {
        std::string text;
        while (!rest_.empty() && rest_.front() != end) {
            const char next = rest_.front();
            if (next == '<' || (static_cast<unsigned char>(next) < ' ' && next != '\n')) {
                fail("a character that must not be there");
            }
            if (next == '&') {
                text += entity();
            } else {
                text += next;
                rest_.remove_prefix(1);
            }
        }
        return text;
    }
    char entity() {
        for (const auto& [code, meaning] :
             {std::pair{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}}) {
            if (rest_.starts_with(code)) {
                rest_.remove_prefix(std::string_view(code).size());
                return meaning;
            }
        }
        fail("an unknown entity");
    }
    std::string attribute_name() {
        const auto equals = std::min(rest_.size(), rest_.find('='));
        std::string word(rest_.substr(0, equals));
        rest_.remove_prefix(equals);
        return word;
    }
    void attributes_of(Element& read) {
        for (skip_space(); !rest_.empty() && rest_.front() != '>' && rest_.front() != '/'; skip_space()) {
            const std::string key = attribute_name();
            expect("=\"");
            if (!read.attributes.emplace(key, text_until('"')).second) {
                fail("an attribute twice");
            }
            expect("\"");
        }
    }
    void element() {
        expect("<");
        Element read{.name = name()};
        attributes_of(read);
        const std::size_t place = elements_.size();
        elements_.push_back(read);
        if (rest_.starts_with("/>")) {
            expect("/>");
            return;
        }
        expect(">");
        while (!rest_.starts_with("</")) {
            elements_[place].text += text_until('<');
            if (rest_.empty()) {
                fail("no end of " + read.name);
            }
            if (!rest_.starts_with("</")) {
                element();
            }
        }
        expect("</" + read.name + ">");
    }

    std::string_view rest_;
    std::vector<Element> elements_;
};

SiteRun run_with(const std::string& car, bool battery = true) {
    std::vector<Second> trace(86400, Second{0, 500});
    for (std::size_t second = 21'600; second < 64'800; ++second) {
        trace[second].pv_w = 8000;
    }
    auto day = day_of(trace, usual_midnight());
    day.currency = "EUR";
    day.tariff = {{.start = day.start, .end = day.start + std::chrono::hours(12), .import_price = 0.4},
                  {.start = day.start + std::chrono::hours(12),
                   .end = day.start + std::chrono::hours(24),
                   .import_price = 0.2,
                   .export_price = 0.1}};
    SiteSetup setup{
        .chargers = {
            {.id = "a", .plugged = {{43'200, 86'400}}, .car = {.name = car, .battery_kwh = 60, .limit_pct = 100}}}};
    if (battery) {
        setup.battery = BatterySetup{};
    }
    return run_site({}, day, setup);
}

std::vector<Element> with_class(const std::vector<Element>& elements, const std::string& name) {
    std::vector<Element> found;
    for (const auto& element : elements) {
        const auto classes = element.attributes.find("class");
        if (classes != element.attributes.end() &&
            (" " + classes->second + " ").find(" " + name + " ") != std::string::npos) {
            found.push_back(element);
        }
    }
    return found;
}

const Element* text_element(const std::vector<Element>& elements, const std::string& text) {
    const auto found = std::ranges::find_if(
        elements, [&](const Element& element) { return element.name == "text" && element.text == text; });
    return found == elements.end() ? nullptr : &*found;
}

double number(const Element& element, const std::string& attribute) {
    return std::stod(element.attributes.at(attribute));
}

}  // namespace

TEST_CASE("chart: is well-formed and stands alone") {
    const auto svg = svg_chart(run_with("blue"));
    StrictXml xml(svg);
    CHECK(xml.at_end());
    CHECK(xml.elements().front().name == "svg");
    CHECK(xml.elements().front().attributes.at("xmlns") == "http://www.w3.org/2000/svg");
    for (const auto& element : xml.elements()) {
        CHECK(element.name != "script");
        CHECK(element.name != "image");
        CHECK(!element.attributes.contains("href"));
    }
    CHECK(svg.find("prefers-color-scheme:dark") != std::string::npos);
    CHECK(svg.find("url(") == std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
}

TEST_CASE("chart: names of strangers are texts, whatever they hold") {
    const std::string evil = "<script>&\"'\x01\xff</title>";
    const auto run = run_with(evil);
    const std::string picture = svg_chart(run);
    StrictXml xml(picture);
    CHECK(xml.at_end());
    CHECK(text_element(xml.elements(), "<script>&\"'?\xEF\xBF\xBD</title> at a") != nullptr);
    CHECK(xml_text("a<b>&\"'\n") == "a&lt;b&gt;&amp;&quot;&#39;?");
}

TEST_CASE("chart: the axis of time is where the hours are") {
    const auto run = run_with("blue");
    const std::string picture = svg_chart(run);
    StrictXml xml(picture);
    const auto* const midnight = text_element(xml.elements(), "00:00");
    const auto* const noon = text_element(xml.elements(), "12:00");
    const auto* const end = text_element(xml.elements(), "24:00");
    REQUIRE(midnight != nullptr);
    REQUIRE(noon != nullptr);
    REQUIRE(end != nullptr);
    CHECK(number(*noon, "x") == doctest::Approx((number(*midnight, "x") + number(*end, "x")) / 2));
    // The first piece of the band of reasons ends when the car comes.
    const auto band = with_class(xml.elements(), "r-not_plugged");
    REQUIRE(!band.empty());
    CHECK(number(band.front(), "x") == number(*midnight, "x"));
    CHECK(number(band.front(), "x") + number(band.front(), "width") ==
          doctest::Approx(number(*noon, "x")).epsilon(0.002));
}

TEST_CASE("chart: heights are what the axis says") {
    const auto run = run_with("blue");
    const std::string picture = svg_chart(run);
    StrictXml xml(picture);
    // The sun is at 8 kW in the middle of the day: at the height of that label (which stands 4.5 lower than its line).
    const auto* const eight = text_element(xml.elements(), "8.0");
    const auto* const zero = text_element(xml.elements(), "0.0");
    REQUIRE(eight != nullptr);
    REQUIRE(zero != nullptr);
    const auto sun = with_class(xml.elements(), "sun-line");
    REQUIRE(sun.size() == 2);  // its key and its line
    const std::string path = sun[1].attributes.at("d");
    const auto at = [](const Element& label) { return fmt::format(" {:.1f}", number(label, "y") - 4.5); };
    CHECK(path.starts_with("M76.0" + at(*zero)));
    CHECK(path.find(at(*eight) + "L") != std::string::npos);
    // Prices: one step down at noon.
    const auto buy = with_class(xml.elements(), "buy-line");
    REQUIRE(buy.size() == 2);
    const std::string steps = buy[1].attributes.at("d");
    const auto* const dear = text_element(xml.elements(), "0.40");
    const auto* const cheap = text_element(xml.elements(), "0.20");
    REQUIRE(dear != nullptr);
    REQUIRE(cheap != nullptr);
    CHECK(steps == fmt::format("M76.0{}H624.0V{}H1172.0", at(*dear), at(*cheap).substr(1)));
}

TEST_CASE("chart: what is not known is not drawn") {
    auto run = run_with("blue", false);
    CHECK(svg_chart(run).find("home battery") == std::string::npos);
    CHECK(svg_chart(run).find("Price of a kWh") != std::string::npos);
    run.import_price.assign(run.import_price.size(), std::nullopt);
    run.export_price = run.import_price;
    run.chargers[0].soc_pct = run.import_price;
    const auto svg = svg_chart(run);
    CHECK(svg.find("Price of a kWh") == std::string::npos);
    CHECK(svg.find("State of charge") == std::string::npos);
    CHECK(StrictXml(svg).at_end());
}

TEST_CASE("chart: a second, a month and many chargers are drawn as well") {
    for (const std::size_t length_s : {1U, 59U, 61U, 7200U, 3U * 86400U}) {
        CAPTURE(length_s);
        const auto day = day_of(std::vector<Second>(length_s, Second{3000, 300}), usual_midnight());
        SiteSetup setup;
        for (int i = 0; i < 12; ++i) {
            setup.chargers.push_back({.id = fmt::format("charger-{:02}", i), .plugged = {{0, length_s}}});
        }
        const auto svg = svg_chart(run_site({}, day, setup));
        CHECK(StrictXml(svg).at_end());
        CHECK(svg.size() < 3000000);
    }
}

TEST_CASE("chart: scales are round and hold their values") {
    for (const auto& range :
         {std::pair{0.0, 9300.0}, {-5000.0, 4300.0}, {0.0, 0.38}, {0.0, 0.0}, {-1.0, 0.0}, {0.0, 1e6}, {-0.02, 0.3}}) {
        const double low = range.first;
        const double high = range.second;
        CAPTURE(low);
        CAPTURE(high);
        const auto scale = scale_for(low, high, 5);
        CHECK(scale.low <= low + 1e-9);
        CHECK(scale.high >= high - 1e-9);
        CHECK(scale.high > scale.low);
        CHECK((scale.high - scale.low) / scale.step <= 7);
    }
    CHECK(scale_for(0, 9300, 6).high == 10000);
    CHECK(scale_for(0, 9300, 6).step == 2000);
}

TEST_CASE("chart: the night on which clocks are put back has an hour more") {
    const support::LocalZone berlin("Europe/Berlin");
    const auto midnight = parse_moment("2026-10-25").value();
    const auto ticks = time_ticks(midnight, 90'000);
    std::vector<std::string> labels;
    for (const auto& tick : ticks) {
        labels.push_back(tick.label);
    }
    CHECK(labels == std::vector<std::string>{"00:00", "02:00", "02:00", "04:00", "06:00", "08:00", "10:00", "12:00",
                                             "14:00", "16:00", "18:00", "20:00", "22:00", "24:00"});
    CHECK(ticks[1].part == doctest::Approx(2.0 / 25));
    CHECK(ticks[2].part == doctest::Approx(3.0 / 25));
    CHECK(ticks[3].part == doctest::Approx(5.0 / 25));
    CHECK(ticks.back().part == 1);
}

TEST_CASE("chart: several days show their dates") {
    const auto ticks = time_ticks(usual_midnight(), 259'200);
    REQUIRE(ticks.size() == 13);
    CHECK(ticks[0].label == "Mon 5 January");
    CHECK(ticks[1].label == "06:00");
    CHECK(ticks[4].label == "Tue 6 January");
}
