"""`harken prepare`: downloaded data sets become a checked manifest, a list of rejected records, and a data card.

One file for each command:

    avqa, vggsound, audiosetcaps, arc, audiomcq, benchmarks    data sets and benchmarks as published
    trainer_jsonl                                              JSON lines of other training programs, in and out
    leak_check, review, missing_clips                          what is done with a manifest, or before one is made

What the commands share, in the order in which a set passes through it:

    source_records, clip_lists, audiosetcaps_rows, trainer_formats     read the records
    conversations, prompt_choices, sound_fields, sound_values          read the parts of a record
    choices, rewording                                                 clean a question
    filters, by_ear                                                    leave records out on purpose
    clip_source, media_index, captioned_clips, wanted_clips            find the media of clips, and extract these
    clip_extraction, snr, sound_print, worker_processes                decode and measure clips in several processes
    leak_check_sets, clip_index, similar_questions, leaks              leave out what benchmarks contain
    draft, data_card, licences                                         account for every record and write the set
"""
