#include "agent/source/outline.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"

// A change of the system changes few of its pieces, so a second image sends these alone.
static const rmt_cut_t s_cut = {
    .min = 16 * 1024, .average = 32 * 1024, .max = 256 * 1024};

int
rmt_agent_outline(const rmt_outline_tree_t *trees, size_t count, rmt_pieces_put_fn *put,
                  void *context, rmt_records_t *records, rmt_error_t *error)
{
    bool is_cut = false;
    rmt_auto(rmt_records) outline = rmt_outline_take(trees, count, &is_cut);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(outline);
    rmt_auto_str ids = rmt_pieces_put(zchunk_data(packed), zchunk_size(packed), &s_cut,
                                      put, context, error);
    if (!ids)
        return rmt_wrap(error, "outline of the system");
    rmt_record_t *record = rmt_records_add(records);
    rmt_record_set(record, "class", "outline");
    rmt_record_set_u64(record, "bytes", zchunk_size(packed));
    if (is_cut)
        rmt_record_set(record, "cut", "yes");
    rmt_record_set(record, "facts", ids);
    return 0;
}
