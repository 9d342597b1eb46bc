"""`harken generate`: a language model behind an OpenAI-compatible server writes questions, reasoning or captions.

questions, reasoning, captions         one file for each command
instructions                           what the model is asked to write
clients, batch_files                   send requests to a server, or through a provider's batch files
retries, reply_json                    read replies, and send bad ones back with their fault
clip_facts, absent_facts               the captions file, from which questions and reasoning are written
question_filters, answer_positions     drop questions, and balance the positions of their right answers
data_card                              account for every record
"""
