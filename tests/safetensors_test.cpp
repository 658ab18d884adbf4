// SPDX-License-Identifier: MIT
// Longer than most files: every way in which a file can be wrong has a case.
#include "adaspan/core/safetensors.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

const std::vector<float> kFloats = {0.5f, -1.25f, 3e38f, 1e-40f, 0, 7};
const std::vector<uint16_t> kHalves = {0x3f80, 0xc020, 0x0001, 0x7f80};  // 1, -2.5, 2^-133, inf
const std::vector<int32_t> kIds = {-1, 0, std::numeric_limits<int32_t>::max()};

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), 0);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// One tensor in a header.
std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  size_t begin, size_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, type,
                     shape, begin, end);
}

std::string header_of(const std::vector<std::string>& entries) {
  std::string header;
  for (const std::string& one : entries) header += (header.empty() ? '{' : ',') + one;
  return header + '}';
}

/// A file put together by hand: header length, header, data.
std::string raw(const std::string& header, const std::string& data = "") {
  return bytes_of(std::vector<uint64_t>{header.size()}) + header + data;
}

void put(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The error of opening a file of these bytes; "" if there is none.
std::string error_of(const std::string& bytes) {
  const TemporaryFolder folder;
  put(folder / "file", bytes);
  try {
    const SafetensorsFile file(folder / "file");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Opens a file and reads all of it. Damage may throw Error and nothing else.
void read_all(const std::filesystem::path& path) {
  const auto attempt = [](const std::function<void()>& read) {
    try {
      read();
    } catch (const Error&) {
    }
  };
  attempt([&] {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      attempt([&] { file.tensor(name); });
      attempt([&] { file.doubles(name); });
    }
  });
}

Tensor halves() {
  Tensor x(Shape{2, 2}, DType::bf16);
  std::memcpy(x.data<bf16>(), kHalves.data(), x.bytes());
  return x;
}

std::string small_file() {
  const TemporaryFolder folder;
  const Tensor x = Tensor::of(Shape{2, 3}, kFloats);
  const Tensor ids = Tensor::of(Shape{3}, kIds);
  const Tensor h = halves();
  write_safetensors(folder / "file", {{"x", &x}, {"h", &h}, {"ids", &ids}}, {{"step", "17"}});
  return read_text(folder / "file");
}

}  // namespace

TEST_CASE("rows of a tensor are read alone, and all its bytes block by block") {
  const TemporaryFolder folder;
  Tensor x({5, 2, 3});
  for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = static_cast<float>(i);
  const Tensor h = x.converted(DType::bf16);
  write_safetensors(folder / "file", {{"x", &x}, {"h", &h}}, {});
  const SafetensorsFile file(folder / "file");
  CHECK(file.type("h") == DType::bf16);
  for (const char* name : {"x", "h"}) {
    const Tensor some = file.rows(name, 1, 3);
    CHECK(some.shape() == Shape{2, 2, 3});
    CHECK(some.converted(DType::f32).data()[0] == 6);
    CHECK(some.converted(DType::f32).data()[11] == 17);
    CHECK(file.rows(name, 5, 5).elements() == 0);
    size_t bytes = 0;
    file.read_blocks(name, [&](std::span<const std::byte> block) { bytes += block.size(); });
    CHECK(bytes == file.tensor(name).bytes());
  }
}

TEST_CASE("what gives its bytes in pieces is written as the tensor that it stands for") {
  const TemporaryFolder folder;
  Tensor x({4, 2});
  for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = static_cast<float>(i);
  const auto in_pieces = [&](const ByteSink& sink) {
    for (size_t i = 0; i < 4; ++i) sink(std::as_bytes(x.values().subspan(2 * i, 2)));
  };
  write_safetensors(folder / "whole", {{"x", &x}}, {});
  write_safetensors(folder / "pieces", {{"x", Shape{4, 2}, DType::f32, in_pieces}}, {});
  CHECK(read_text(folder / "pieces") == read_text(folder / "whole"));
  SafetensorsFile(folder / "pieces").verify();
}

TEST_CASE("tensors and metadata that were written are read back") {
  const TemporaryFolder folder;
  const Tensor x = Tensor::of(Shape{2, 3}, kFloats);
  const Tensor ids = Tensor::of(Shape{3}, kIds);
  const Tensor scalar = Tensor::filled(Shape(), 2);
  const Tensor nothing(Shape{0, 4});
  const Tensor h = halves();
  write_safetensors(
      folder / "file",
      {{"x", &x}, {"none", &nothing}, {"a \"quoted\" name", &ids}, {"s", &scalar}, {"h", &h}},
      {{"step", "17"}, {"text", "line\nline \xc3\xa9"}});

  const SafetensorsFile file(folder / "file");
  CHECK(file.names() == std::vector<std::string>{"a \"quoted\" name", "h", "none", "s", "x"});
  CHECK(file.metadata("step") == "17");
  CHECK(file.metadata("text") == "line\nline \xc3\xa9");
  CHECK(file.has("x"));
  CHECK_FALSE(file.has("__metadata__"));

  const Tensor read = file.tensor("x");
  CHECK(file.shape("x") == Shape{2, 3});
  CHECK(read.shape() == Shape{2, 3});
  CHECK(std::memcmp(read.data(), x.data(), x.bytes()) == 0);
  const Tensor read_ids = file.tensor("a \"quoted\" name");
  CHECK(read_ids.type() == DType::i32);
  CHECK(std::memcmp(read_ids.data<int32_t>(), ids.data<int32_t>(), ids.bytes()) == 0);
  const Tensor read_halves = file.tensor("h");
  CHECK(read_halves.type() == DType::bf16);
  CHECK(read_halves.shape() == Shape{2, 2});
  CHECK(std::memcmp(read_halves.data<bf16>(), kHalves.data(), read_halves.bytes()) == 0);
  CHECK(file.tensor("s").item() == 2);
  CHECK(file.tensor("s").shape() == Shape());
  CHECK(file.tensor("none").shape() == Shape{0, 4});
}

TEST_CASE("a written file is laid out as the format says") {
  const std::string bytes = small_file();
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);
  CHECK(header_size % 8 == 0);
  const std::string header = bytes.substr(8, header_size);
  const auto json = nlohmann::ordered_json::parse(header);
  CHECK(header.starts_with(json.dump()));
  CHECK(header.find_first_not_of(' ', json.dump().size()) == std::string::npos);
  auto places = json;
  places.erase("__metadata__");
  CHECK(places.dump() ==
        header_of({entry("x", "F32", "[2,3]", 0, 24), entry("h", "BF16", "[2,2]", 24, 32),
                   entry("ids", "I32", "[3]", 32, 44)}));
  CHECK(bytes.substr(8 + header_size) == bytes_of(kFloats) + bytes_of(kHalves) + bytes_of(kIds));
}

TEST_CASE("a file without tensors and metadata is written and read") {
  const TemporaryFolder folder;
  write_safetensors(folder / "file", {}, {});
  const SafetensorsFile file(folder / "file");
  CHECK(file.names().empty());
  CHECK_NOTHROW(file.verify());
}

TEST_CASE("tensors in any order of the header, and of types unknown here, are no damage") {
  const TemporaryFolder folder;
  const std::string header =
      header_of({entry("b", "F32", "[1]", 2, 6), entry("a", "F16", "[1]", 0, 2)});
  put(folder / "file", raw(header + "  ", "zz" + bytes_of<float>({1.5f})));
  const SafetensorsFile file(folder / "file");
  CHECK(file.tensor("b").item() == 1.5f);
  CHECK(file.shape("a") == Shape{1});
}

TEST_CASE("doubles widens F32, BF16, F64 and I32") {
  const TemporaryFolder folder;
  const std::vector<double> precise = {1.0 / 3, -1e300};
  const std::string header =
      header_of({entry("d", "F64", "[2]", 0, 16), entry("f", "F32", "[2,3]", 16, 40),
                 entry("i", "I32", "[3]", 40, 52), entry("h", "BF16", "[4]", 52, 60),
                 entry("none", "F64", "[0]", 60, 60)});
  put(folder / "file",
      raw(header, bytes_of(precise) + bytes_of(kFloats) + bytes_of(kIds) + bytes_of(kHalves)));
  const SafetensorsFile file(folder / "file");
  CHECK(file.doubles("d") == precise);
  CHECK(file.doubles("f") == std::vector<double>(kFloats.begin(), kFloats.end()));
  CHECK(file.doubles("i") == std::vector<double>(kIds.begin(), kIds.end()));
  CHECK(file.doubles("h") ==
        std::vector<double>{1, -2.5, 0x1p-133, std::numeric_limits<double>::infinity()});
  CHECK(file.doubles("none").empty());
}

TEST_CASE("a type that cannot be read throws when it is asked for") {
  const TemporaryFolder folder;
  const std::string header =
      header_of({entry("long", "I64", "[1]", 0, 8), entry("double", "F64", "[1]", 8, 16)});
  put(folder / "file", raw(header, std::string(16, 0)));
  const SafetensorsFile file(folder / "file");
  CHECK_THROWS_WITH_AS(file.tensor("double"), doctest::Contains("to be F32, BF16 or I32; got F64"),
                       Error);
  CHECK_THROWS_WITH_AS(file.doubles("long"),
                       doctest::Contains("to be F32, BF16, F64 or I32; got I64"), Error);
}

TEST_CASE("a name that is not there throws") {
  const TemporaryFolder folder;
  put(folder / "file", small_file());
  const SafetensorsFile file(folder / "file");
  CHECK_FALSE(file.has("y"));
  CHECK_THROWS_WITH_AS(file.shape("y"), doctest::Contains("expected a tensor y in"), Error);
  CHECK_THROWS_AS(file.tensor("y"), Error);
  CHECK_THROWS_AS(file.doubles("y"), Error);
  CHECK_THROWS_WITH_AS(file.metadata("y"), doctest::Contains("expected \"y\" in the header"),
                       Error);
}

TEST_CASE("a missing file throws") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(SafetensorsFile(folder / "none"), Error);
}

TEST_CASE("a file cut short at any byte throws") {
  const std::string whole = small_file();
  REQUIRE(error_of(whole) == "");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(error_of(whole.substr(0, size)) != "");
  }
}

TEST_CASE("bytes after the last tensor throw") {
  CHECK(contains(error_of(small_file() + "x"), "the file is damaged"));
}

TEST_CASE("no change of a byte before the data crashes") {
  const TemporaryFolder folder;
  const std::string whole = small_file();
  const size_t data_begin = whole.size() - 44;
  for (size_t at = 0; at < data_begin; ++at) {
    for (int change : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      put(folder / "file", damaged);
      CAPTURE(at);
      CHECK_NOTHROW(read_all(folder / "file"));
    }
  }
}

TEST_CASE("a header longer than the file throws") {
  for (uint64_t size : {uint64_t{3}, uint64_t{1} << 32, uint64_t{1} << 63, ~uint64_t{0}}) {
    const std::string bytes = bytes_of(std::vector<uint64_t>{size}) + "{}";
    CHECK(contains(error_of(bytes), "got 10 bytes, fewer than its header says"));
  }
}

TEST_CASE("a header that is no JSON object of tensors throws") {
  constexpr size_t kDeep = 100'000;
  const std::vector<std::string> headers = {
      "",
      "{",
      "tensors",
      "\xff\xfe{}",
      "[]",
      "null",
      "17",
      "\"text\"",
      "{}{}",
      std::string(8, '\0'),
      std::string(kDeep, '['),
      std::string(kDeep, '[') + std::string(kDeep, ']'),
      R"({"x":17})",
      R"({"x":{}})",
      R"({"__metadata__":{"step":17}})",
      R"({"__metadata__":[]})",
      R"({"x":{"dtype":7,"shape":[],"data_offsets":[0,0]}})",
  };
  for (const std::string& header : headers) {
    CAPTURE(header.substr(0, 80));
    CHECK(contains(error_of(raw(header)), "expected a well-formed header"));
  }
}

TEST_CASE("tensors that overlap, or leave a gap, throw") {
  const auto error = [](const std::string& shape_of_b, size_t begin, size_t end) {
    const std::string header =
        header_of({entry("a", "F32", "[2]", 0, 8), entry("b", "F32", shape_of_b, begin, end)});
    return error_of(raw(header, std::string(16, 0)));
  };
  CHECK(error("[2]", 8, 16) == "");
  CHECK(contains(error("[3]", 4, 16), "a gap or an overlap"));
  CHECK(contains(error("[4]", 0, 16), "a gap or an overlap"));
  CHECK(contains(error("[1]", 12, 16), "a gap or an overlap"));
  CHECK(contains(error("[0]", 4, 4), "a gap or an overlap"));
  CHECK(contains(error("[1]", 8, 12), "to end at byte"));
}

TEST_CASE("a place outside the file throws") {
  const auto error = [](const std::string& place) {
    return error_of(
        raw(fmt::format(R"({{"x":{{"dtype":"F32","shape":[2],"data_offsets":{}}}}})", place),
            std::string(8, 0)));
  };
  CHECK(error("[0,8]") == "");
  for (const char* place :
       {"[0,12]", "[8,0]", "[4,18446744073709551615]", "[18446744073709551612,4]", "[-8,0]"}) {
    CAPTURE(place);
    CHECK(contains(error(place), "cut short or of another format"));
  }
}

TEST_CASE("a place that does not fit the shape throws") {
  const auto error = [](const std::string& shape, const std::string& type = "F32") {
    return error_of(raw(header_of({entry("x", type, shape, 0, 8)}), std::string(8, 0)));
  };
  CHECK(error("[2]") == "");
  CHECK(error("[2,1,1]") == "");
  CHECK(error("[4]", "BF16") == "");
  CHECK(contains(error("[2]", "BF16"), "expected 4 bytes for x [2]"));
  CHECK(contains(error("[5]", "BF16"), "expected 10 bytes for x [5]"));
  CHECK(contains(error("[3]"), "expected 12 bytes for x [3]"));
  CHECK(contains(error("[]"), "expected 4 bytes for x []"));
  for (const char* shape : {"[-2]", "[-1,-2]", "[4294967296,4294967296,2]", "[4611686018427387906]",
                            "[18446744073709551615]"}) {
    CAPTURE(shape);
    CHECK(error(shape) != "");
  }
}

TEST_CASE("checksums are those of the bytes, and tell which tensor is damaged") {
  const TemporaryFolder folder;
  const Tensor x = Tensor::of({2, 3}, kFloats), y = Tensor::zeros({2});
  write_safetensors(folder / "file", {{"x", &x}, {"y", &y}}, {{"step", "17"}});
  const std::string whole = read_text(folder / "file");
  {
    const SafetensorsFile file(folder / "file");
    CHECK(file.has_checksums());
    CHECK_NOTHROW(file.verify());
    CHECK(file.checksum("x") == sha256(std::as_bytes(std::span(kFloats))));
    CHECK_THROWS_AS(file.checksum("z"), Error);
  }
  const auto damaged = [&](size_t i, char byte) {
    std::string bytes = whole;
    bytes[i] = byte;
    put(folder / "file", bytes);
    try {
      SafetensorsFile(folder / "file").verify();
    } catch (const DamagedFile& e) {
      return std::string(e.what());
    }
    return std::string("no damage");
  };
  CHECK(contains(damaged(whole.size() - 1, 1), " y "));
  CHECK(contains(damaged(whole.size() - 9, 1), " x "));
  CHECK(contains(damaged(whole.find("17"), '9'), "header"));
}

TEST_CASE("a file of another program has no checksums, and is none to rely on") {
  const TemporaryFolder folder;
  put(folder / "file", raw(header_of({entry("x", "F32", "[1]", 0, 4)}), std::string(4, 0)));
  const SafetensorsFile file(folder / "file");
  CHECK_FALSE(file.has_checksums());
  CHECK_THROWS_AS(file.verify(), DamagedFile);
}

TEST_CASE("a name given twice throws before anything is written") {
  const TemporaryFolder folder;
  const Tensor x = Tensor::zeros(Shape{2});
  atomic_write(folder / "file", "old");
  CHECK_THROWS_WITH_AS(write_safetensors(folder / "file", {{"x", &x}, {"x", &x}}, {}),
                       "[safetensors] expected distinct names; got x twice", Error);
  CHECK(read_text(folder / "file") == "old");
}

TEST_CASE("numbers that are not whole, and places of more than two, throw") {
  for (const char* rest :
       {R"("shape":[1.5],"data_offsets":[0,4])", R"("shape":[1],"data_offsets":[0,4.5])",
        R"("shape":[1e300],"data_offsets":[0,4])", R"("shape":[1],"data_offsets":[0,4,4])",
        R"("shape":[1],"data_offsets":[4])", R"("shape":[1],"data_offsets":4)",
        R"("shape":{},"data_offsets":[0,4])", R"("shape":["1"],"data_offsets":[0,4])"}) {
    CAPTURE(rest);
    const std::string header = fmt::format(R"({{"x":{{"dtype":"F32",{}}}}})", rest);
    CHECK(contains(error_of(raw(header, std::string(4, 0))), "expected whole numbers"));
  }
}

TEST_CASE("text that is not UTF-8, or a name kept for metadata, throws and writes nothing") {
  const TemporaryFolder folder;
  const Tensor x = Tensor::zeros(Shape{2});
  const auto path = folder / "file";
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"\xff", &x}}, {}),
                       doctest::Contains("expected names and metadata in UTF-8"), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"x", &x}}, {{"key", "\xff"}}), Error);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"__metadata__", &x}}, {}),
                       "[safetensors] expected a tensor name other than __metadata__", Error);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a folder that cannot be written to throws") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(write_safetensors(folder / "none/file", {}, {}), Error);
}

}  // namespace adaspan
