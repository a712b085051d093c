#include <doctest/doctest.h>

#include "contract/messages.hpp"

using namespace contract;

TEST_CASE("schema: a message survives the way through JSON") {
    const LimitSet sent{.ttl_s = 30, .seq = 88, .chargers = {{"7744", 10.0}, {"7745", 0.0}}};

    CHECK(to_json(sent).dump() == R"({"chargers":{"7744":10.0,"7745":0.0},"seq":88,"ttl_s":30.0})");
    CHECK(from_text<LimitSet>(to_json(sent).dump()) == sent);
}
